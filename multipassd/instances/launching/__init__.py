"""From a launch request to a running instance."""
