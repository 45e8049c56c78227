"""Who was let into guests, and how that ends once a client is trusted no longer."""
