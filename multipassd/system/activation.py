"""The sockets that the service manager hands over (sd_listen_fds(3)), by python-systemd."""

from __future__ import annotations

import os

VARIABLES = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")


def descriptors() -> dict[int, str]:
    """The inherited descriptors with their names, in order; none are passed on to children.

    Takes the variables out of the environment. Raises OSError or ValueError for nonsense in them.
    """
    if "LISTEN_FDS" not in os.environ:
        return {}
    from systemd import daemon  # only here: most programs that import this were not activated

    found: dict[int, str] = daemon.listen_fds_with_names()
    for name in VARIABLES:  # its own `unset_environment` is not seen by os.environ, nor by children
        os.environ.pop(name, None)
    return dict(sorted(found.items()))
