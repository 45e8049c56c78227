"""The time zone of this host, which a new instance gets."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ZONES = "/usr/share/zoneinfo/"
DEFAULT = "Etc/UTC"


def zone(environ: Mapping[str, str], localtime: str = "/etc/localtime") -> str:
    """The name by which the IANA's list knows it."""
    named = environ.get("TZ", "").removeprefix(":").removeprefix(ZONES)
    if _is_zone(named):
        return named
    target = os.path.realpath(localtime)
    _, found, name = target.partition("/zoneinfo/")
    return name if found else DEFAULT


def _is_zone(name: str) -> bool:
    """A rule such as CET-1CEST is none. Without the list, a zone is known by its slash."""
    if not name or name.startswith("/"):
        return False
    return os.path.isfile(ZONES + name) if os.path.isdir(ZONES) else "/" in name
