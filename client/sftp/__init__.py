"""Files to and from instances: SFTP over OpenSSH's client."""
