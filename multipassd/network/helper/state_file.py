"""State of the instances' network that outlives its service: a JSON file in its directory."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

from multipassd.network.tools import NetworkFailure
from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically

FILE = "state.json"
MODE = 0o644
MAX_SIZE = 4096

_log = log.get("network")


class State:
    """The subnet, and the devices that forward because of this service."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.subnet: IPv4Network | None = None
        self.opened: set[str] = set()  # devices whose forwarding this service switched on
        self._load()

    def _load(self) -> None:
        try:
            known = json.loads(read_regular(self._directory / FILE, MAX_SIZE))
            self.subnet = IPv4Network(known["subnet"]) if known["subnet"] else None
            self.opened = {str(device) for device in known["opened"]}
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            _log.warning("%s is not used: %s", FILE, error)

    def save(self) -> None:
        """Raises NetworkFailure."""
        known = {"subnet": str(self.subnet or ""), "opened": sorted(self.opened)}
        data = json.dumps(known).encode() + b"\n"
        try:
            write_atomically(self._directory / FILE, data, MODE)
        except OSError as error:
            raise unwritable(self._directory, error) from None


def unwritable(directory: Path, error: OSError) -> NetworkFailure:
    return NetworkFailure(f"The instances' network can't be kept in {directory}: {error.strerror}.")
