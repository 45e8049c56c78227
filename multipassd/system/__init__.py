"""The host: log, journal, systemd, files, child processes. Knows nothing of Multipass."""
