"""The descriptors that the service manager hands over: LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID.

python-systemd reads them where it is installed; a snap, which takes wheels only, has to do without
it, and the same protocol is read here.
"""

from __future__ import annotations

import os

FIRST = 3  # the descriptor where the protocol begins
UNNAMED = "unknown"  # as sd_listen_fds_with_names(3) calls them

VARIABLES = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")


def descriptors() -> dict[int, str]:
    """The inherited descriptors with their names, in order; none are passed on to children.

    Takes the variables out of the environment. Raises OSError or ValueError for nonsense in them.
    """
    if "LISTEN_FDS" not in os.environ:
        return {}
    try:
        from systemd import daemon
    except ImportError:
        return _by_environment()
    found: dict[int, str] = daemon.listen_fds_with_names()
    for name in VARIABLES:  # its own `unset_environment` is not seen by os.environ, nor by children
        os.environ.pop(name, None)
    return dict(sorted(found.items()))


def _by_environment() -> dict[int, str]:
    count, names, pid = (os.environ.pop(name, "") for name in VARIABLES)
    if not pid or int(pid) != os.getpid():
        return {}  # meant for a parent of ours
    numbers = range(FIRST, FIRST + int(count))
    for number in numbers:
        os.set_inheritable(number, False)
    given = names.split(":") if names else [UNNAMED] * len(numbers)
    return dict(zip(numbers, given, strict=True))
