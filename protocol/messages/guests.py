"""Messages of `multipass.Guests`, this project's own service.

The public SSH host key of each named instance, as it stands in a known_hosts file behind the host's
name: `ssh-ed25519 AAAA…`. The service made the keys, so a client can tell the instance from whoever
else answers at its address.
"""

from __future__ import annotations

from protocol.codec import Message, mapping, repeated, string


class HostKeysRequest(Message):
    instance_name: list[str] = repeated(string(1))


class HostKeysReply(Message):
    host_keys: dict[str, str] = mapping(1, string(2))
