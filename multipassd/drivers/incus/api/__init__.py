"""The client of Incus' REST API: joining a cluster, calls, events, exec."""
