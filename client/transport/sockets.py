"""Sockets as the interpreter itself has them.

`socket` and `ssl` build their constants as enumerations and load a dozen modules while they are
imported: 9 ms of each command. Both are Python around modules of C, which have no documentation
and may change with any Python, so these are used only with the Pythons that they were tried with.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
__all__ = ["BARE", "Socket", "library"]

# Before a line is added: tests/client/transport/test_pythons.py passes with that Python.
TRIED = ((3, 11), (3, 12), (3, 13))
BARE = sys.version_info[:2] in TRIED

if TYPE_CHECKING or not BARE:
    import socket as library
else:
    import _socket as library


class Socket(library.socket):
    """A socket; a class of its own because TLS keeps a weak reference to it."""
