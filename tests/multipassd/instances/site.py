"""What instances are made with in tests: parts of the test's own, no mounts and no certificates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multipassd.drivers.interface import Driver
from multipassd.network.interface import Networking


@dataclass
class Parts:
    """A `multipassd.instances.site.Site`."""

    driver: Driver
    networking: Networking
    key_path: Path = Path("/no/such/key")
    servers: None = None
    logins: None = None
    has_traces: bool = True
