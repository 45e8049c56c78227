"""What is known of the cluster: the connection that is kept, and the view that it feeds."""
