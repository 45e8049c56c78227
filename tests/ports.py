"""A TCP port that is given to no other program before its service listens."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

LOOPBACK = "127.0.0.1"


@contextmanager
def reserved() -> Iterator[int]:
    """A free port of the loopback interface, for a service that sets SO_REUSEADDR.

    The kernel assigns a port that is bound here to no other program, not even for connections; a
    program that names it, with SO_REUSEADDR, can still listen at it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((LOOPBACK, 0))
        yield held.getsockname()[1]
