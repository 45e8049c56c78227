"""The time zone of this host, which a new instance gets."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ZONES = "/usr/share/zoneinfo/"
DEFAULT = "Etc/UTC"


def zone(environ: Mapping[str, str], localtime: str = "/etc/localtime") -> str:
    """The host's zone by its name in the IANA database, for example Europe/Berlin."""
    named = environ.get("TZ", "").removeprefix(":").removeprefix(ZONES)
    if _is_zone(named):
        return named
    target = os.path.realpath(localtime)
    _, found, name = target.partition("/zoneinfo/")
    return name if found else DEFAULT


def _is_zone(name: str) -> bool:
    """Whether it is a zone's name, not a rule such as CET-1CEST; without database, by a slash."""
    if not name or name.startswith("/"):
        return False
    return os.path.isfile(ZONES + name) if os.path.isdir(ZONES) else "/" in name
