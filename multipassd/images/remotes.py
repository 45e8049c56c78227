"""The remotes: who lists images, and what an administrator may put in their place. Pure.

`[images]` in multipassd.conf takes `remote.NAME=URL` and `proxy=URL`; the environment's
MULTIPASS_IMAGE_REMOTES ("NAME=URL NAME=URL") comes first. Without a URL a remote is switched off,
which spares a host without internet the wait for it. Plain http is for this machine itself;
anything else over http has to be marked, as insecure+http://…, because whoever can change the list
on its way can change the hashes in it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

SECTION = "images"
PREFIX = "remote."
VARIABLE = "MULTIPASS_IMAGE_REMOTES"
INSECURE = "insecure+"

UBUNTU = "https://cloud-images.ubuntu.com/"
DEVICES = "https://cdimage.ubuntu.com/"

CORE = ""  # Ubuntu Core's images are asked for without a remote
CORE_NAME = "core"  # and have this name where one has to be written
DEFAULT = "release"
HIDDEN = frozenset({"snapcraft"})  # launched by name, never listed unasked


class RemoteError(ValueError):
    """A replacement that can't be used; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Remote:
    name: str
    base: str  # the official list's place, with a slash at its end
    path: str  # the same below a mirror
    mirrored: bool  # whether local.image.mirror is meant for it
    mirror: str = ""
    insecure: bool = False  # plain http beyond this machine was asked for

    @property
    def label(self) -> str:
        return self.name or CORE_NAME


# In the order in which they are searched and listed.
OFFICIAL = (
    Remote(CORE, DEVICES + "ubuntu-core/", "ubuntu-core/", False),
    Remote(DEFAULT, UBUNTU + "releases/", "releases/", True),
    Remote("daily", UBUNTU + "daily/", "daily/", True),
    Remote("snapcraft", UBUNTU + "buildd/daily/", "buildd/daily/", True),
    Remote("appliance", DEVICES + "ubuntu-core/appliances/", "ubuntu-core/appliances/", False),
)


def table(
    mirror: str, section: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, Remote], list[str]]:
    """The remotes by name, and a sentence for each replacement that is not used.

    A remote whose replacement is wrong is left out: asking the official place instead would go
    round what the administrator decided.
    """
    remotes = {one.name: one for one in OFFICIAL}
    problems: list[str] = []
    for name, url in _replacements(section, environ).items():
        key = CORE if name == CORE_NAME else name
        if not url:
            remotes.pop(key, None)
            continue
        if key not in remotes:
            problems.append(f"There is no remote '{name}' whose place could be taken.")
            continue
        try:
            remotes[key] = _replaced(remotes[key], url)
        except RemoteError as error:
            problems.append(str(error))
            del remotes[key]
    if mirror:
        remotes = {
            name: replace(one, mirror=mirror + one.path) if one.mirrored else one
            for name, one in remotes.items()
        }
    return remotes, problems


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _replacements(section: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    found = {
        key.removeprefix(PREFIX): url for key, url in section.items() if key.startswith(PREFIX)
    }
    for word in environ.get(VARIABLE, "").split():
        name, equals, url = word.partition("=")
        if equals:
            found[name] = url
    return found


def _replaced(remote: Remote, url: str) -> Remote:
    insecure = url.startswith(INSECURE)
    base = url.removeprefix(INSECURE)
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RemoteError(
            f"Remote '{remote.label}' is not used: '{url}' is no http:// or https:// URL."
        )
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise RemoteError(
            f"Remote '{remote.label}' is not used: plain http lets anybody on the way change the "
            f"images. Use https, or write {INSECURE}{base} to take the risk."
        )
    return replace(remote, base=base if base.endswith("/") else base + "/", insecure=insecure)
