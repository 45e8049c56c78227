"""wake: start the service where it listens on TCP, too, or instances ran before; else its first
local caller does."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from multipassd.instances.records import running_markers
from multipassd.snap import options
from multipassd.system.installation import Installation


def run(environ: Mapping[str, str]) -> None:
    """systemd holds the Unix socket alone: without a caller there, nothing would be served or
    started after a boot. The connection says nothing, so it enrols nobody."""
    with suppress(OSError):
        if _serves_tcp(environ) or _had_instances(environ):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(1.0)
                caller.connect(Installation.of(environ).socket)


def _serves_tcp(environ: Mapping[str, str]) -> bool:
    with suppress(options.OptionError):
        return "address" in options.load(environ)
    return False


def _had_instances(environ: Mapping[str, str]) -> bool:
    running = Path(Installation.of(environ).data) / running_markers.DIRECTORY
    return running.is_dir() and any(running.iterdir())
