"""Completion for bash, zsh and fish, generated from the client's table of commands."""
