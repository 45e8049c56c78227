"""A note from the old revision to the new one: was the trust store in order before the refresh?

In $SNAP_DATA, which snapd copies from revision to revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from multipassd.system.files import read_regular, write_atomically
from multipassd.system.installation import Installation
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places

MAX_NOTE = 100  # bytes; the name of a state is shorter
MODE = 0o600


def write(environ: Mapping[str, str]) -> None:
    """Never fails: a note that can't be written is no reason to prevent an update."""
    found, _ = state(environ)
    with suppress(OSError):
        write_atomically(_path(environ), found.name.encode(), MODE)


def take(environ: Mapping[str, str]) -> str:
    """The name of the state that was noted, and the note is gone; empty after 1.16, which writes
    none."""
    note = _path(environ)
    text = ""
    with suppress(OSError):
        text = read_regular(note, MAX_NOTE).decode("ascii", "replace")
        note.unlink()
    return text


def state(environ: Mapping[str, str]) -> tuple[TrustState, str]:
    """The store's state and, if damaged, the sentence that says why. Changes nothing."""
    store = Path(Installation.of(environ).data) / places.TRUST_STORE
    if not store.parent.is_dir():
        return TrustState.EMPTY, ""  # the service has never run
    found = TrustStore(store.parent)
    found.refresh()
    return found.state, found.damage


def _path(environ: Mapping[str, str]) -> Path:
    return Path(environ["SNAP_DATA"]) / "trust-before-refresh"
