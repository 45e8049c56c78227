"""Run by ssh as its ProxyCommand: connects to the process that relays, and hands that connection
over to ssh (`ProxyUseFdpass`), so that nothing runs between the two.
"""

from __future__ import annotations

import os
import socket
import sys

STDOUT = 1  # ssh's end of a socket pair, by which it receives the descriptor
UCRED_SIZE = 12  # struct ucred: pid, uid, gid, four bytes each


def main(name: str) -> int:
    """`name`: of a socket in the abstract namespace. Errors are reported by the relay itself."""
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(b"\0" + name.encode())
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED_SIZE)
        if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
            return 1  # another user has taken the name
        descriptor = connection.fileno().to_bytes(4, sys.byteorder)
        right = (socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)
        ssh = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, STDOUT)
        ssh.sendmsg([b"\0"], [right])
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1]))
