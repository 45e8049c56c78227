"""The command line of OpenSSH's client for a log-in to a guest, whose host key is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SSH = "ssh"
CONNECT_SECONDS = 5
# As the client's (client/guests/words.py): on this host's bridge the default costs 50 ms and more.
KEX = "^ecdh-sha2-nistp256,curve25519-sha256"
NONE: Mapping[str, str] = MappingProxyType({})


def words(
    name: str,
    host: str,
    port: int,
    user: str,
    *,
    key: str,
    known_hosts: str,
    more: Mapping[str, str] = NONE,
) -> list[str]:
    """To be followed by the guest's command. `name`: under which the host key stands in the file
    `known_hosts`. `key`: the file with the private key. `more`: further options."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "KexAlgorithms": KEX,
        "IdentitiesOnly": "yes",
        "IdentityFile": key,
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": name,
        "LogLevel": "ERROR",
        "Port": str(port),
        "User": user,
        **more,
    }
    flags = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
    return [SSH, "-F", "none", "-T", *flags, "--", host]
