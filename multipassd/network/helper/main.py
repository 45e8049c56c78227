"""The program that changes the host's network for the daemon: one request a connection.

systemd starts it for the first request, with a socket that only root may open. It runs as long as
an instance is connected, because DHCP and DNS are its children, and takes the network down after
the last one; the daemon may be restarted in that time.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NoReturn

from multipassd.network.helper import closing
from multipassd.network.helper.host_network import HostNetwork
from multipassd.network.state_directory import of as state_directory
from multipassd.network.tools import NetworkFailure
from multipassd.system import activation, file_lock, json_request, log
from multipassd.system.json_request import RequestFailed
from protocol import names

LINGER_SECONDS = 10.0  # unused; an instance that restarts finds its network still there
MAINTENANCE_SECONDS = 5.0  # between two inspections of the network
REQUEST_SECONDS = 5.0  # for the daemon to send its line, as other requests wait for it
MAX_REQUEST = 64 << 10  # with the users that guests are closed to
# When a daemon started by hand is killed, its service cleans up while the next one's starts.
LOCK, LOCK_SECONDS = "lock", 60.0
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
DEVICE = re.compile(r"[^\s/:]{1,15}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")

USAGE = "Usage: multipass-network serve | down | close\n"

_log = log.get("network")
Request = dict[str, Any]


def main(words: list[str]) -> int:
    log.configure("platform", "info")
    os.umask(0o022)  # dnsmasq's own user reads what we write
    directory = Path(state_directory(os.environ))
    if words == ["serve"]:
        return serve(directory)
    if words == ["down"]:
        HostNetwork(directory).dismantle()
        return 0
    if words == ["close"]:
        return close_once()
    sys.stderr.write(USAGE)
    return 2


def serve(directory: Path) -> int:
    """The exit code."""
    inherited = activation.descriptors()
    if not inherited:
        sys.stderr.write("multipass-network is started by multipass-network.socket\n")
        return 2
    listener = socket.socket(fileno=next(iter(inherited)))
    try:
        with file_lock.hold(directory / LOCK, LOCK_SECONDS):
            _run(HostNetwork(directory), listener)
    except (OSError, TimeoutError) as error:
        _log.error("%s", error)
        return 1
    return 0


def close_once() -> int:
    """One request of this verb on standard input, for a daemon without a network service, whose
    guests are reached by ports of the loopback interface. The exit code."""
    line = json_request.Line(MAX_REQUEST)
    answer: dict[str, Any]
    try:
        while not line.feed(os.read(0, MAX_REQUEST)):
            pass
        request = line.decode(dict)
        answer = {"done": _close(None, request, closing.mark(request["mark"]))}
    except (OSError, RequestFailed, ValueError, KeyError, TypeError) as error:
        answer = {"error": f"Connections to instances can't be ended: {error}."}
    os.write(1, json_request.encode(answer))
    return 0


def _close(subnet: IPv4Network | None, request: Request, mark: str = "") -> dict[str, Any]:
    """Raises ValueError, KeyError, TypeError, OSError."""
    uids, once = closing.ranges(request["uids"]), closing.ranges(request["once"])
    ports, seconds = closing.ports(request["ports"]), closing.seconds(request["seconds"])
    elsewhere = closing.addresses(request.get("elsewhere", ()))  # not of older daemons
    places = closing.Places(subnet, ports, elsewhere)
    return closing.close(places, uids, once, seconds, mark=mark)


def _run(network: HostNetwork, listener: socket.socket) -> None:
    service = Service(network, listener)
    signal.signal(signal.SIGTERM, service.end)
    try:
        _logging_failure(network.repair)
        _logging_failure(network.resume)
        service.run()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is ending already
    except SystemExit:
        pass
    network.close()


class Service:
    """Serves requests, and maintains the network between them."""

    def __init__(self, network: HostNetwork, listener: socket.socket) -> None:
        self._network = network
        self._listener = listener
        self._ending = False
        # The words are older than the methods' names: while a package is upgraded, a daemon of
        # the version before may ask this service.
        self._verbs: dict[str, Callable[[Request], object]] = {
            "attach": self._attach,
            "attach_to": self._attach_to,
            "detach": lambda request: network.detach(_mac(request)),
            "forget": lambda request: network.release(_mac(request)),
            "bridge": lambda request: network.bridge(_matching(DEVICE, request["device"])),
            "close": lambda request: _close(network.subnet, request),
            "tidy": lambda request: network.clean_up(),
        }

    def end(self, number: int, frame: object) -> NoReturn:
        """Handler of SIGTERM. The exception makes a running request undo its changes; if that fails
        with another one, `run` ends at the next opportunity."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the cleaning up
        self._ending = True
        raise SystemExit

    def run(self) -> None:
        """Returns after LINGER_SECONDS without a connected instance or a request."""
        idle_since = maintained = time.monotonic()
        while not self._ending and time.monotonic() - idle_since < LINGER_SECONDS:
            self._listener.settimeout(
                max(maintained + MAINTENANCE_SECONDS - time.monotonic(), 0.001)
            )
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:  # comes in time however many requests there are
                self._network.maintain()
                maintained = time.monotonic()
            else:
                with connection:
                    self._answer(connection)
                idle_since = time.monotonic()
            if self._network.used:
                idle_since = time.monotonic()

    def _answer(self, connection: socket.socket) -> None:
        answer = self._do(connection)
        with suppress(RequestFailed):  # the caller is gone
            json_request.answer(connection, answer, seconds=REQUEST_SECONDS)

    def _do(self, connection: socket.socket) -> Request:
        try:
            request = json_request.receive(
                connection, dict, limit=MAX_REQUEST, seconds=REQUEST_SECONDS
            )
            return {"done": self._verbs[request["do"]](request)}
        except NetworkFailure as error:
            _log.warning("%s", error)
            return {"error": str(error)}
        except OSError as error:
            _log.error("%s", error)
            return {"error": f"The instances' network could not be changed: {error}."}
        except (RequestFailed, ValueError, KeyError, TypeError) as error:
            return {"error": f"The network service does not understand the request: {error!r}"}

    def _attach(self, request: Request) -> str:
        name = request["name"]
        if not names.valid(name):
            raise ValueError(name)
        return self._network.attach(name, _mac(request), _matching(USER, request["user"]))

    def _attach_to(self, request: Request) -> None:
        to = _matching(DEVICE, request["to"])
        self._network.attach_to(to, _mac(request), _matching(USER, request["user"]))


def _logging_failure(work: Callable[[], None]) -> None:
    try:
        work()
    except (NetworkFailure, OSError) as error:
        _log.error("%s", error)


def _mac(request: Request) -> str:
    return _matching(MAC, request["mac"])


def _matching(pattern: re.Pattern[str], text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(text)
    return text
