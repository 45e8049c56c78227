"""From a stopped instance to another one like it."""
