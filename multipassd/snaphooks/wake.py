"""wake: start the service where it listens on TCP, too; else its first local caller does."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

from multipassd import snapoptions
from protocol import places


def run(environ: Mapping[str, str]) -> None:
    """systemd holds the Unix socket alone: without a caller there, TCP would not be served after a
    boot. The connection says nothing, so it enrols nobody."""
    with suppress(snapoptions.OptionError, OSError):
        if "address" in snapoptions.load(environ):
            with socket.socket(socket.AF_UNIX) as caller:
                caller.settimeout(1.0)
                caller.connect(places.default_socket(environ))
