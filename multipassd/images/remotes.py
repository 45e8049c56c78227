"""The remotes: the servers that list images, and replacements that an administrator sets. Pure.

`[images]` in multipassd.conf takes `remote.NAME=URL` and `proxy=URL`; the environment's
MULTIPASS_IMAGE_REMOTES ("NAME=URL NAME=URL") overrides it. Without a URL a remote is switched off,
so that a host without internet does not wait for it. Plain http is allowed to this host itself; to
others it has to be marked, as insecure+http://…, because an attacker on the network who changes the
list changes the hashes in it.
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

CORE = ""  # Ubuntu Core's images are named without a remote
CORE_NAME = "core"  # its name in settings and messages
DEFAULT = "release"
HIDDEN = frozenset({"snapcraft"})  # launched by name, listed on request only


class RemoteError(ValueError):
    """A replacement that can't be used; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A server with a list of images."""

    name: str
    base: str  # URL of the official list, with a slash at its end
    path: str  # the same below a mirror
    mirrored: bool  # does local.image.mirror apply to it?
    mirror: str = ""
    insecure: bool = False  # plain http to other hosts was allowed

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

    A remote whose replacement is invalid is left out: using the official server instead would
    override the administrator's decision.
    """
    remotes = {each.name: each for each in OFFICIAL}
    problems: list[str] = []
    for name, url in _replacements(section, environ).items():
        key = CORE if name == CORE_NAME else name
        if not url:
            remotes.pop(key, None)
            continue
        if key not in remotes:
            problems.append(f"There is no remote '{name}' that could be replaced.")
            continue
        try:
            remotes[key] = _replaced(remotes[key], url)
        except RemoteError as error:
            problems.append(str(error))
            del remotes[key]
    if mirror:
        remotes = {
            name: replace(each, mirror=mirror + each.path) if each.mirrored else each
            for name, each in remotes.items()
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
            f"Remote '{remote.label}' is not used: an attacker on the network can change images "
            f"over plain http. Use https, or write {INSECURE}{base} to take the risk."
        )
    return replace(remote, base=base if base.endswith("/") else base + "/", insecure=insecure)
