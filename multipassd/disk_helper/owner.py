"""Whose rights qemu-img has where the daemon is root, and whose group the disks are."""

from __future__ import annotations

import functools
import os
import pwd

from multipassd.disk_helper.request import QemuImgError
from protocol import places

MACHINES = "multipass-vm"  # QEMU's user, made by the package
NOBODY = "nobody"  # not QEMU's: what took qemu-img over could reach into each machine
SNAP = "snap_daemon"  # the only one that a strict snap may become


def user() -> int:
    """A uid that owns nothing. Raises QemuImgError."""
    return _account(SNAP if places.in_snap(os.environ) else NOBODY).pw_uid


@functools.cache
def group() -> int:
    """The gid of the disks' group. Raises QemuImgError."""
    if places.in_snap(os.environ):
        return _account(SNAP).pw_gid
    try:
        return pwd.getpwnam(MACHINES).pw_gid
    except KeyError:
        return _account(NOBODY).pw_gid


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise QemuImgError(f"There is no user {name} to run qemu-img as.") from None
