"""The server of one mount: an order on the socket that is stdin, and the answer once it is mounted.

It logs in to the guest, runs sshfs there, and serves it the directory, as the directory's user and
with nothing else in sight. It outlives the daemon, which finds it by its control socket; each end
of a connection to that is the end of the server. All parts end together: the guest unmounts when
its sshfs is cut off, and the daemon mounts anew.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from typing import Any

from multipassd.mounts import control_socket
from multipassd.mounts.control_socket import AlreadyServed
from multipassd.mounts.file_server import FileServer
from multipassd.mounts.jail import NoJail, SourceRefused
from multipassd.mounts.native_server import NativeServer
from multipassd.mounts.order import MAX_REQUEST, Order
from multipassd.mounts.session import Session, SessionFailed
from multipassd.system import json_request, rights
from multipassd.system.json_request import RequestFailed

DIRECTORY = "MULTIPASS_MOUNTS_DIRECTORY"  # of the control sockets
MOST_FILES = 2  # a private key and a certificate
SOURCE, GUEST = "source", "guest"  # whose fault a failure is


def main() -> int:
    directory = os.environ[DIRECTORY]
    with socket.socket(fileno=os.dup(0)) as asking:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        try:
            message, files = json_request.receive_with_files(
                asking, dict, limit=MAX_REQUEST, most_files=MOST_FILES
            )
            order = Order.read(message)
            if not 1 <= len(files) <= (1 if order.native else MOST_FILES):
                raise ValueError("not the files that it takes")
        except (RequestFailed, ValueError, KeyError, TypeError, IndexError) as error:
            return _answer(asking, GUEST, f"the request is not understood: {error!r}")
        try:
            with control_socket.claimed(directory, order.socket) as control:
                return _serve(order, files, asking, control)
        except AlreadyServed:
            return _answer(asking, GUEST, "it is mounted already")
        except OSError as error:
            return _answer(asking, GUEST, f"its server can't be started: {error}")


def _serve(order: Order, files: list[int], asking: socket.socket, control: socket.socket) -> int:
    try:
        if order.native:
            _serve_native(order, files[0], asking, control)
        else:
            _serve_classic(order, files, asking, control)
    except SourceRefused as error:
        return _answer(asking, SOURCE, str(error))
    except (NoJail, SessionFailed) as error:
        return _answer(asking, GUEST, str(error))
    return 0


def _serve_classic(
    order: Order, log_in: list[int], asking: socket.socket, control: socket.socket
) -> None:
    """`log_in`: files in memory with the private key and, perhaps, a certificate for it."""
    # First: from here on this process has the user's files in no way, and no right of root's.
    with FileServer.started(order) as files:
        _shed_rights()
        with Session.started(order, log_in, files) as session:
            session.wait_until_mounted(asking)
            for file in log_in:  # by now ssh has used it
                os.close(file)
            _answer(asking)
            asking.close()
            session.wait(control, order.message(), files)


def _serve_native(
    order: Order, listening: int, asking: socket.socket, control: socket.socket
) -> None:
    """`listening`: the socket that the machine will connect to."""
    with NativeServer.started(order, listening) as server:
        _shed_rights()
        os.close(listening)
        _answer(asking)
        asking.close()
        server.wait(control, order.message())


def _shed_rights() -> None:
    rights.drop_capabilities(rights.ALL)
    rights.no_new_privileges()


def _answer(asking: socket.socket, fault: str = "", why: str = "") -> int:
    """An exit code."""
    answer: dict[str, Any] = {"fault": fault, "why": why}
    with suppress(RequestFailed):  # the daemon is gone
        json_request.answer(asking, answer)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
