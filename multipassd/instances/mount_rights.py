"""Which mounts a caller may bring back, by a restore, or into another instance, by a clone. Pure.

A mount gives a guest what the user who made it may read. After they unmounted it, or for an
instance that they never mounted it in, only they themselves or root may decide on it again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from multipassd.auth.peer import Credentials
from multipassd.instances.records.record import Mount


class Division(NamedTuple):
    """Mounts, by what becomes of them."""

    granted: tuple[Mount, ...]
    left_out: tuple[Mount, ...]


def divide(
    mounts: Collection[Mount], caller: Credentials | None, present: Collection[Mount] = ()
) -> Division:
    """`caller`: None over TCP. `present`: what the instance has mounted now."""
    granted = [each for each in mounts if each in present or _own(each, caller)]
    return Division(tuple(granted), tuple(each for each in mounts if each not in granted))


def _own(mount: Mount, caller: Credentials | None) -> bool:
    return caller is not None and caller.uid in (0, mount.uid)


def sentence(mount: Mount, name: str) -> str:
    """For the caller, about a mount that was left out of the instance of this name."""
    return (
        f"the mount \"{mount.target}\" was left out of '{name}', as {mount.source} was mounted by "
        f"another user (uid {mount.uid}); only they or root can mount it again"
    )
