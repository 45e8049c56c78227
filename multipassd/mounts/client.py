"""Starts, finds and ends the servers of classic mounts, which outlive the daemon."""

from __future__ import annotations

from pathlib import Path

from protocol.errors import RpcError
from protocol.status import Status

SOCKET = "MULTIPASS_MOUNTS_SOCKET"  # the path of the socket of multipass-mounts


class MountFailed(RpcError):
    """A directory could not be mounted; the message is a clause: the `<why>` of a sentence."""

    status = Status.FAILED_PRECONDITION


class SourceRefused(MountFailed):
    """The directory is gone, is no longer one, or its user may not read it: trying again is no
    help."""


class MountServers:
    """The servers of this daemon's mounts."""

    def __init__(self, storage: Path, key: Path, socket: str = "") -> None:
        """`key`: the private SSH key that guests accept. `socket`: of the service that starts
        servers; empty: they are started as processes."""
        self.storage = storage
        self.key = key
        self._socket = socket
