"""The service's TCP socket as a unit of systemd: its address, by a drop-in, and its start."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multipassd.admin.access import units
from multipassd.admin.access.verb import TrustError
from multipassd.system.files import read_regular, write_atomically
from multipassd.system.installation import Installation
from protocol.addresses import TcpAddress

SERVICE, SOCKET = Installation.daemon_unit, Installation.tcp_socket_unit
DROP_IN = Path(f"/etc/systemd/system/{SOCKET}.d/multipass-trust.conf")
DEFAULT = "127.0.0.1:50051"  # what the packaged unit says
MAX_DROP_IN = 64 << 10
MODE, DIRECTORY_MODE = 0o644, 0o755
PATIENCE = 30.0  # seconds of attempts; under load one in twelve is refused
PAUSE = 0.1  # seconds
# FreeBind=: at boot the interface may get its address after the socket is made.
TEXT = """# Written by multipass-trust tcp enable --address; multipass-trust tcp disable removes it.
[Socket]
ListenStream=
ListenStream={address}
FreeBind=yes
"""


def address() -> str:
    """Where it listens, or would."""
    return units.show(SOCKET, "Listen")[0].partition(" ")[0]


@contextmanager
def listening_on(wanted: TcpAddress | None) -> Iterator[bool]:
    """Have the unit listen there from its next start on, and tell whether that is a change; None
    leaves it as it is. What fails inside puts the old address back. Raises TrustError."""
    before = _read()
    if wanted is None or str(wanted) == address():
        yield False
        return
    was_on = units.active(SOCKET)
    _write(None if str(wanted) == DEFAULT else TEXT.format(address=wanted))
    try:
        if address() != str(wanted):
            raise TrustError(
                f"Nothing was changed, as another drop-in of {SOCKET} has it listen on "
                f"{address()}: `systemctl cat {SOCKET}` shows which. Change or remove that."
            )
        yield True
    except BaseException:
        _write(before)
        if was_on and not units.active(SOCKET):
            with suppress(TrustError):  # what failed first is what is to be mended
                start(moved=True)
        raise


def forget_address() -> bool:
    """Back to the packaged address, or another drop-in's; whether that is a change. Raises
    TrustError."""
    if not os.path.lexists(DROP_IN):
        return False
    _write(None)
    return True


def start(moved: bool) -> None:
    """systemd refuses a socket to a service that runs, and a caller may start that at any time.

    Restarting both settles it: the service's stop comes before the socket's start, and its start,
    for which callers wait in the other socket, after that. What changes between the question and
    systemd's answer is met by the next attempt. `moved`: it has another address than the one that
    it may listen on. Raises TrustError.
    """
    deadline = time.monotonic() + PATIENCE
    while problem := units.change(*_how_to_start(moved)):
        (state,) = units.show(SOCKET, "ActiveState")
        if state == "active" and not moved:
            return  # then it is the service's trouble, which is looked at next
        if state == "failed" or time.monotonic() > deadline:  # else it was refused, not tried
            _check_port()
            raise failed("TCP was not switched on", problem)
        time.sleep(PAUSE)


def demand(failure: str, *arguments: str) -> None:
    """Have systemd do something. Raises TrustError."""
    if problem := units.change(*arguments):
        raise failed(failure, problem)


def failed(failure: str, problem: str) -> TrustError:
    return TrustError(
        f"{failure}. systemd says: {problem.rstrip('.')}. "
        f"`journalctl -u {SOCKET} -u {SERVICE} -e` says more; then repeat this."
    )


def _how_to_start(moved: bool) -> tuple[str, ...]:
    if units.show(SERVICE, "ActiveState") == ["inactive"]:
        return "restart" if moved else "start", SOCKET
    return "restart", SERVICE, SOCKET


def _check_port() -> None:
    """systemd's answer does not tell the usual reason. Raises TrustError if it is that."""
    at = address()
    host, _, port = at.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as systemd has it
        try:
            probe.bind((host.strip("[]"), int(port)))
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                return
            raise TrustError(
                f"TCP was not switched on: another program has {at}. "
                f"`sudo ss -ltnp sport = :{port}` names it; stop it, or name another port with "
                "--address, then repeat this."
            ) from None


def _read() -> str | None:
    """The drop-in; None if there is none. Raises TrustError."""
    try:
        return read_regular(DROP_IN, MAX_DROP_IN).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrustError(f"Nothing was changed, as {DROP_IN} can't be read: {error}.") from None


def _write(text: str | None) -> None:
    """None removes it. systemd knows of it on return. Raises TrustError."""
    try:
        if text is None:
            DROP_IN.unlink(missing_ok=True)
            with suppress(OSError):  # an administrator's own files are in it
                DROP_IN.parent.rmdir()
        else:
            if not DROP_IN.parent.is_dir():
                DROP_IN.parent.mkdir()
                DROP_IN.parent.chmod(DIRECTORY_MODE)  # in any umask
            write_atomically(DROP_IN, text.encode(), MODE)
    except OSError as error:
        raise TrustError(
            f"The address was not changed, as {DROP_IN} can't be written: {error.strerror}."
        ) from None
    demand("The address was not changed", "daemon-reload")
