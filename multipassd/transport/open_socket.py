"""Restore the open mode of a socket that the service manager has just made, after a boot.

The manager closes it to all but the admin group, which is right for an empty store. Trusted clients
of other users must get in before the daemon runs for the first time. Only a store with trusted
clients opens it, or an empty one where none becomes the first by itself: in doubt it stays closed,
and the daemon, once started, decides.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from multipassd.auth import gate
from multipassd.settings.settings import Settings
from multipassd.system import installation
from multipassd.transport.listener import OPEN_MODE
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: multipass-open-socket SOCKET", file=sys.stderr)
        return 2
    here = installation.here()
    directory = Path(here.data) / Path(places.TRUST_STORE).parent
    try:
        restore(arguments[0], directory, Path(here.settings))
    except OSError as error:
        print(f"multipass-open-socket: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def restore(path: str, store_directory: Path, settings: Path) -> bool:
    """Open the socket `path` if the store in `store_directory` has a client, or lets none in by
    itself. Changes nothing in the store, and does not make one. Raises OSError."""
    if not _may_open(store_directory, settings):
        return False
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileNotFoundError(errno.ENOENT, "no socket there")
    os.chmod(path, OPEN_MODE)
    return True


def _may_open(store_directory: Path, settings: Path) -> bool:
    state = TrustState.EMPTY  # where the daemon has never run
    if store_directory.is_dir():
        store = TrustStore(store_directory)
        store.refresh()
        state = store.state
    elif EnrolledMarker(store_directory).is_set():
        state = TrustState.DAMAGED
    if state is not TrustState.EMPTY:
        return state is TrustState.TRUSTING
    return gate.open_to_all(state, Settings(settings).first_client())
