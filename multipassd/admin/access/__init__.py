"""What the verbs share: the service's files, the trust store, users and systemd units."""
