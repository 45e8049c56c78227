"""The command-line client, `multipass`."""
