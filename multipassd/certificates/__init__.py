"""X.509 certificates: checks of them, and the files of the server's own."""
