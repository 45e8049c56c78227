"""The connection to the service: dialing, TLS, HTTP/2 and gRPC, blocking."""
