"""Aliases: names for commands in instances, compatible with the files of Multipass 1.16."""
