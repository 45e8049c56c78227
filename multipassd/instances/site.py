"""What instances are made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from multipassd.cloudinit.logins import Logins
    from multipassd.drivers.interface import Driver
    from multipassd.mounts.client import MountServers
    from multipassd.network.interface import Networking


class Site(Protocol):
    """The parts of this host, each loaded when it is first asked for: a service without instances
    needs none of them. `has_traces`: may there be machines, or something of the network, that no
    record knows? `servers`: of mounts; `logins`: without it no guest's key is ever replaced,
    and no certificate issued."""

    @property
    def driver(self) -> Driver: ...
    @property
    def has_traces(self) -> bool: ...
    @property
    def networking(self) -> Networking: ...
    @property
    def key_path(self) -> Path: ...
    @property
    def servers(self) -> MountServers | None: ...
    @property
    def logins(self) -> Logins | None: ...
