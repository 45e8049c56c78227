"""Bytes to calls: listener, TLS, HTTP/2 and gRPC framing. Knows no method."""
