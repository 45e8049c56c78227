"""multipass-migrate: instances of Multipass 1.16, listed and taken over into this service."""
