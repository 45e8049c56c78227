"""The messages of `multipass.proto`, a module a group of calls, so that a command imports its own.

Names, numbers and types are Multipass 1.16's; a test compares them with the .proto.
"""
