"""Convert snapcraft.yaml to meta/snap.yaml, which snapd reads. Pure.

Only the keys that this project's snapcraft.yaml uses are supported; any other is an error, so that
an added line is not lost.
"""

from collections.abc import Mapping
from typing import Any

Described = dict[str, Any]

_BUILD_ONLY = {"parts", "platforms"}
_TAKEN_OVER = {
    "name", "version", "summary", "description", "license", "base", "grade", "confinement", "apps",
    "hooks", "plugs", "system-usernames",
}  # fmt: skip
_OF_AN_APP = {
    "command", "plugs", "daemon", "restart-condition", "restart-delay", "stop-mode", "stop-timeout",
    "sockets", "refresh-mode", "environment", "completer",
}  # fmt: skip
# As snapcraft sets it for every strict snap.
_ENVIRONMENT = {
    "LD_LIBRARY_PATH": "${SNAP_LIBRARY_PATH}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}",
    "PATH": "$SNAP/usr/sbin:$SNAP/usr/bin:$SNAP/sbin:$SNAP/bin:$PATH",
}


class UnknownKey(Exception):
    """A key of snapcraft.yaml that this module does not support."""


def snap_yaml(project: Mapping[str, Any], architecture: str) -> Described:
    """The content of meta/snap.yaml for one architecture. Raises UnknownKey."""
    _only(project, _TAKEN_OVER | _BUILD_ONLY, "snapcraft.yaml")
    if architecture not in project["platforms"]:
        raise UnknownKey(f"platforms: snapcraft.yaml does not name {architecture}")
    meta: Described = {key: value for key, value in project.items() if key in _TAKEN_OVER}
    for name, app in project["apps"].items():
        _only(app, _OF_AN_APP, f"apps: {name}")
    meta["version"] = str(project["version"])
    meta["architectures"] = [architecture]
    meta["environment"] = _ENVIRONMENT
    return meta


def _only(given: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(given) - known):
        raise UnknownKey(f"{where}: tools/snap_meta.py does not know {', '.join(unknown)}")
