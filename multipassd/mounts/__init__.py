"""Classic mounts: directories of the host, served to guests over SFTP (`bin/multipass-mounts`)."""
