"""The seed of a clone: its source's, with its own name, instance id, SSH host key and cards.

cloud-init takes the clone's first boot for the first one of an instance: it sets host name and keys
anew and does what the user data says, as at the first boot of the source.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from multipassd.cloudinit import seed as seed_disk
from multipassd.cloudinit import userdata, vendor_data
from multipassd.cloudinit.seed import Interface
from multipassd.cloudinit.ssh_keys import SshKey
from multipassd.cloudinit.userdata import Config, UserDataError
from multipassd.system.files import write_atomically
from protocol.user_data_kinds import CONFIG, kind

MESSAGE = re.compile(r'Content-Type: multipart/mixed; boundary="([0-9a-f]{64})"\n')
# Of the parts that `userdata.merge` puts around a user's data.
WITH_KEYS, WITH_NAME, PARTS = (0, 4), 5, 6


@dataclass(frozen=True)
class CloneSeed:
    """What differs from the source's seed."""

    name: str
    instance_id: str
    host_key: SshKey
    interfaces: tuple[Interface, ...]


def write(source: Path, path: Path, clone: CloneSeed) -> None:
    """Raises OSError, UserDataError."""
    write_atomically(path, seed_disk.image(files(seed_disk.read(source), clone)), seed_disk.MODE)


def files(source: dict[str, bytes], clone: CloneSeed) -> dict[str, bytes]:
    """What the disk holds, by name. Pure. Raises UserDataError."""
    meta = {"instance-id": clone.instance_id, "local-hostname": clone.name}
    try:
        given = source.get("user-data", b"").decode()
    except UnicodeDecodeError as error:
        raise UserDataError(f"the seed of its source is no text: {error}.") from None
    return {
        "meta-data": seed_disk.as_yaml(meta),
        "user-data": user_data(given, clone).encode(),
        "vendor-data": vendor_data.of_clone(source.get("vendor-data", b"")),
        "network-config": seed_disk.as_yaml(seed_disk.network_config(clone.interfaces)),
    }


def user_data(text: str, clone: CloneSeed) -> str:
    """Raises UserDataError where it is nothing that this service or 1.16 wrote."""
    if kind(text) == CONFIG:
        return _config(text, lambda config: _named(_keyed(config, clone.host_key), clone.name))
    found = MESSAGE.match(text)
    mark = f"--{found.group(1)}" if found else ""
    head, *parts = text.split(f"{mark}\n") if found else [text]
    if len(parts) != PARTS:
        raise UserDataError("the seed of its source is not one that this service has made.")
    # The end of the message is in the last part.
    parts[-1], end = parts[-1].removesuffix(f"{mark}--\n"), f"{mark}--\n"
    for number in WITH_KEYS:
        parts[number] = _part(parts[number], lambda config: _keyed(config, clone.host_key))
    parts[WITH_NAME] = _part(parts[WITH_NAME], lambda config: _named(config, clone.name))
    return f"{mark}\n".join([head, *parts]) + end


def _part(part: str, change: Callable[[Config], Config]) -> str:
    """One of ours, which is ASCII: headers, and a configuration behind an empty line."""
    headers, _, config = part.partition("\n\n")
    return f"{headers}\n\n{_config(config, change)}\n"


def _config(text: str, change: Callable[[Config], Config]) -> str:
    return userdata.HEADER + userdata.readable(change(userdata.parse(text)))


def _keyed(config: Config, host_key: SshKey) -> Config:
    """Also without host keys that the user gave to the source."""
    return config | {"ssh_keys": userdata.host_keys(host_key)}


def _named(config: Config, name: str) -> Config:
    named = config | {"hostname": name}
    full = config.get("fqdn")
    if isinstance(full, str) and "." in full:
        named["fqdn"] = f"{name}.{full.partition('.')[2]}"
    return named
