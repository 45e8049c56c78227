"""Where in a guest a directory may be mounted. Pure.

Targets are kept as they were given; they are compared, and refused, by the path that they lead to.
"""

from __future__ import annotations

from posixpath import basename, join, normpath

from multipassd.cloudinit.userdata import USER
from multipassd.instances.records.record import Mount
from multipassd.mounts import guest_commands

LONGEST = 4095  # bytes: PATH_MAX of Linux without the zero
ROOT_HOME = "/root"
# A mount there would hide what the system needs at once.
REFUSED = frozenset({"/", "/home"}) | guest_commands.SYSTEM
REFUSED_WITH_ALL_BELOW = guest_commands.REFUSED
KEYS = ".ssh"  # in the home: with it hidden, no log-in is accepted any more


def home(user: str) -> str:
    """The directory that a relative target is below. `user`: as in the record, empty for the one
    that cloud-init makes."""
    return ROOT_HOME if user == "root" else f"/home/{user or USER}"


def default(source: str, home: str) -> str:
    """The target of a mount that names none."""
    return join(home, basename(normpath(source)))


def path(target: str, home: str) -> str:
    """The absolute path that the target means, in one spelling: of `/a`, `//a/` and `/b/../a` the
    same. What is a symbolic link, only the guest knows."""
    return normpath("/" + join(home, target).lstrip("/"))


def refused(target: str, home: str) -> bool:
    """Is nothing to be mounted there?"""
    if not target.isprintable() or len(target.encode("utf-8", "surrogateescape")) > LONGEST:
        return True
    found = path(target, home)
    if found in REFUSED or found in (home, join(home, KEYS)):
        return True
    return any(found == each or found.startswith(each + "/") for each in REFUSED_WITH_ALL_BELOW)


def layers(mounts: list[Mount]) -> list[list[Mount]]:
    """What lies within another mount comes after that, or would be hidden by it."""
    layers: dict[int, list[Mount]] = {}
    for mount in mounts:
        above = [each for each in mounts if mount.target.startswith(f"{each.target}/")]
        layers.setdefault(len(above), []).append(mount)
    return [layers[depth] for depth in sorted(layers)]
