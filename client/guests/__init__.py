"""Sessions inside instances, by OpenSSH's client."""
