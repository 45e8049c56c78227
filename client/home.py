"""Whose home the client's files lie in."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def find(environ: Mapping[str, str], uid: int) -> tuple[dict[str, str], str]:
    """The environment to look file locations up with, and the home directory.

    Root under `sudo` with the user's HOME kept gets root's own: its files never end up in a
    home that is not root's. XDG_DATA_HOME and XDG_CONFIG_HOME, named on purpose, still count.
    """
    environ = dict(environ)
    home = environ.get("HOME", "")
    if uid == 0 and not _owned_by_root(environ.get("SNAP_REAL_HOME") or home):
        environ.pop("SNAP_REAL_HOME", None)
        return environ, _of_user(uid)
    return environ, home or _of_user(uid)


def _owned_by_root(home: str) -> bool:
    try:
        return bool(home) and os.stat(home).st_uid == 0
    except OSError:
        return False


def _of_user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"
