"""The driver of instances on an Incus server or cluster, over its HTTPS API."""
