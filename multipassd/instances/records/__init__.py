"""Instance records and instance directories on disk."""
