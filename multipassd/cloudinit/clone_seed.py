"""The seed of a clone: its source's, with its own name, instance id, SSH host key, principal and
cards.

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
from multipassd.cloudinit.ssh_authority import OURS
from multipassd.cloudinit.ssh_keys import SshKey
from multipassd.cloudinit.userdata import Config, UserDataError
from multipassd.system.files import write_atomically
from protocol.user_data_kinds import CONFIG, kind

MESSAGE = re.compile(r'Content-Type: multipart/mixed; boundary="([0-9a-f]{64})"\n')
# Of the parts that `userdata.merge` puts around a user's data.
WITH_KEYS, WITH_USER, WITH_NAME, PARTS = (0, 4), (0, 2, 3), 5, 6


@dataclass(frozen=True)
class CloneSeed:
    """What differs from the source's seed."""

    name: str
    instance_id: str
    host_key: SshKey
    interfaces: tuple[Interface, ...]
    authority: str  # the line by which its login user lets certificates in


def write(source: Path, path: Path, clone: CloneSeed) -> bool:
    """Whether the guest will have the authority's line: not one whose seed 1.16 made, or whose user
    ours is not. Raises OSError, UserDataError."""
    content = files(seed_disk.read(source), clone)
    write_atomically(path, seed_disk.image(content), seed_disk.MODE)
    return clone.authority.encode() in content["user-data"]


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
        return _config(text, lambda config: _named(_own(config, clone), clone.name))
    found = MESSAGE.match(text)
    mark = f"--{found.group(1)}" if found else ""
    head, *parts = text.split(f"{mark}\n") if found else [text]
    if len(parts) != PARTS:
        raise UserDataError("the seed of its source is not one that this service has made.")
    # The end of the message is in the last part.
    parts[-1], end = parts[-1].removesuffix(f"{mark}--\n"), f"{mark}--\n"
    for number in WITH_KEYS:
        parts[number] = _part(parts[number], lambda config: _keyed(config, clone.host_key))
    for number in WITH_USER:
        parts[number] = _part(parts[number], lambda config: _trusting(config, clone.authority))
    parts[WITH_NAME] = _part(parts[WITH_NAME], lambda config: _named(config, clone.name))
    return f"{mark}\n".join([head, *parts]) + end


def _part(part: str, change: Callable[[Config], Config]) -> str:
    """One of ours, which is ASCII: headers, and a configuration behind an empty line."""
    headers, _, config = part.partition("\n\n")
    return f"{headers}\n\n{_config(config, change)}\n"


def _config(text: str, change: Callable[[Config], Config]) -> str:
    return userdata.HEADER + userdata.readable(change(userdata.parse(text)))


def _own(config: Config, clone: CloneSeed) -> Config:
    return _trusting(_keyed(config, clone.host_key), clone.authority)


def _trusting(config: Config, authority: str) -> Config:
    """In place of the source's line of an authority: its certificates are for the source."""
    users = config.get("users")
    if not isinstance(users, list):
        return config
    return config | {"users": [_user(each, authority) for each in users]}


def _user(entry: object, authority: str) -> object:
    if not isinstance(entry, dict) or entry.get("name") != userdata.USER:
        return entry
    keys = entry.get(userdata.KEY_NAMES[0])
    if not isinstance(keys, list):
        return entry
    kept = [key for key in keys if not isinstance(key, str) or not OURS.fullmatch(key)]
    return entry | {userdata.KEY_NAMES[0]: [*kept, authority]}


def _keyed(config: Config, host_key: SshKey) -> Config:
    """Also without host keys that the user gave to the source."""
    return config | {"ssh_keys": userdata.host_keys(host_key)}


def _named(config: Config, name: str) -> Config:
    named = config | {"hostname": name}
    full = config.get("fqdn")
    if isinstance(full, str) and "." in full:
        named["fqdn"] = f"{name}.{full.partition('.')[2]}"
    return named
