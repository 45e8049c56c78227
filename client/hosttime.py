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
    if named and not named.startswith("/") and os.path.isfile(ZONES + named):
        return named
    target = os.path.realpath(localtime)
    _, found, name = target.partition("/zoneinfo/")
    return name if found else DEFAULT
