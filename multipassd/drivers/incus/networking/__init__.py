"""The networks of the cluster, and how guests on them are reached."""
