"""A TCP port that nobody else is given before its service listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

LOOPBACK = "127.0.0.1"


@contextmanager
def reserved() -> Iterator[int]:
    """A free port of the loopback interface, for a service that sets SO_REUSEADDR.

    The kernel chooses no port for others that is bound here, not even for what connects; whoever
    names it, and does not mind that it was in use, may listen at it all the same.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((LOOPBACK, 0))
        yield held.getsockname()[1]
