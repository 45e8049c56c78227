"""Which user qemu-img runs as where the daemon is root, and which group the disks belong to."""

from __future__ import annotations

import functools
import pwd
from collections.abc import Iterable
from contextlib import suppress

from multipassd.disk_helper.request import QemuImgError
from multipassd.system import installation


def user() -> int:
    """A uid that owns nothing. Raises QemuImgError."""
    return _account([installation.here().qemu_img_user]).pw_uid


@functools.cache
def group() -> int:
    """The gid of the disks' group. Raises QemuImgError."""
    return _account(installation.here().disk_groups).pw_gid


def _account(names: Iterable[str]) -> pwd.struct_passwd:
    """The first that exists."""
    for name in names:
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise QemuImgError(f"There is no user {name} to run qemu-img as.")
