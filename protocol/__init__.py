"""What the daemon and the client agree on: messages, methods, errors, certificates, paths."""
