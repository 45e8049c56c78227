"""The trust store: the PEM file of trusted client certificates."""
