"""Who calls, what they may do, and how a client becomes trusted."""
