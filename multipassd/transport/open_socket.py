"""Restore the open mode of a socket that the service manager has just made, after a boot.

The manager closes it to all but the admin group, which is right for an empty store. Trusted clients
of other users must get in before the daemon runs for the first time. Only a store with trusted
clients opens it: in doubt it stays closed, and the daemon, once started, decides.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from multipassd.system import installation
from multipassd.transport.listener import OPEN_MODE
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: multipass-open-socket SOCKET", file=sys.stderr)
        return 2
    directory = Path(installation.here().data) / Path(places.TRUST_STORE).parent
    try:
        restore(arguments[0], directory)
    except OSError as error:
        print(f"multipass-open-socket: {arguments[0]}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def restore(path: str, store_directory: Path) -> bool:
    """Open the socket `path` if the store in `store_directory` has a client. Changes nothing
    in the store, and does not make one. Raises OSError."""
    if not store_directory.is_dir():
        return False
    store = TrustStore(store_directory)
    store.refresh()
    if store.state is not TrustState.TRUSTING:
        return False
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileNotFoundError(errno.ENOENT, "no socket there")
    os.chmod(path, OPEN_MODE)
    return True
