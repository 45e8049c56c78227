"""gRPC calls: dispatch, policy and error mapping."""
