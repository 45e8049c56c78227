"""pre-refresh: run by the old revision, before its service is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from multipassd.snap import trustnote
from multipassd.system.files import write_atomically

MODE = 0o600


def run(environ: Mapping[str, str]) -> None:
    """Leaves word; that it could not is no reason to keep an update out."""
    state, _ = trustnote.state(environ)
    with suppress(OSError):
        write_atomically(trustnote.path(environ), state.name.encode(), MODE)
