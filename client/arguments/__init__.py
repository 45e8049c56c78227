"""Parsing and validation of command line arguments, before anything is sent."""
