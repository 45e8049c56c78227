"""Messages of `multipass.Guests`, this project's own service.

The public SSH host key of each named instance, in the form of a known_hosts file without the host's
name: `ssh-ed25519 AAAA…`. The service made the keys, so a client can verify that it reaches the
instance, not another machine at its address.
"""

from __future__ import annotations

from protocol.codec import Message, mapping, repeated, string


class HostKeysRequest(Message):
    """The request of the call `host_keys`."""

    instance_name: list[str] = repeated(string(1))


class HostKeysReply(Message):
    """By instance: the public SSH host keys that the service made for it, one a line."""

    host_keys: dict[str, str] = mapping(1, string(2))
