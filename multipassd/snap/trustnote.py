"""What the old revision leaves word of for the new one: was the trust store in order?

In $SNAP_DATA, which snapd copies from revision to revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from multipassd.system.installation import Installation
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places


def path(environ: Mapping[str, str]) -> Path:
    return Path(environ["SNAP_DATA"]) / "trust-before-refresh"


def state(environ: Mapping[str, str]) -> tuple[TrustState, str]:
    """The store's state and, if damaged, the sentence that says why. Changes nothing."""
    store = Path(Installation.of(environ).data) / places.TRUST_STORE
    if not store.parent.is_dir():
        return TrustState.EMPTY, ""  # the service has never run
    found = TrustStore(store.parent)
    found.refresh()
    return found.state, found.damage
