"""A host with the instances' network: a namespace, with guests in others."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from multipassd.network.bridge_client import BridgedNetworking
from multipassd.network.closing import Closing
from multipassd.network.interface import Cards
from tests.multipassd.network import netns
from tests.multipassd.network.netns import Namespace

ROOT = Path(__file__).resolve().parents[3]
MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"
WORLD = "192.0.2.1"
UDHCPC_SCRIPT = """#!/bin/sh
if [ "$1" = bound ]; then
    ip address add "$ip/$mask" dev "$interface"
    ip route add default via "$router"
    echo "$ip $router $dns $domain"
fi
"""
SECONDS = 30.0


class Site:
    """A host with the network's service, started by its socket as systemd would."""

    def __init__(self, host: Namespace, place: Path) -> None:
        self.host = host
        self.directory = place / "state"
        self.directory.mkdir()
        self._socket = place / "socket"
        environ = {
            "MULTIPASS_NETWORK_SOCKET": str(self._socket),
            "MULTIPASS_NETWORK_DIRECTORY": str(self.directory),
        }
        self.networking = BridgedNetworking(self._socket, self.directory, "root")
        self._place = place
        self._environ = environ

    @contextmanager
    def service(self) -> Iterator[subprocess.Popen[bytes]]:
        words = [
            sys.executable, "-m", "tools.activate",
            "--socket", str(self._socket), "--mode", "600",
            "--", str(ROOT / "bin/multipass-network"), "serve",
        ]  # fmt: skip
        self._socket.unlink(missing_ok=True)  # an earlier service's would be taken for this one's
        with open(self._place / "log", "ab") as log:
            process = subprocess.Popen(
                self.host.entering(*words), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**os.environ, **self._environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        try:
            until(self._is_open)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(SECONDS)

    def _is_open(self) -> bool:
        """The socket exists before the service listens; its mode is set last."""
        return self._socket.exists() and self._socket.stat().st_mode & 0o777 != 0

    def closing(self) -> Closing:
        return Closing(self._socket, self._place)

    def attach(self, instance: Cards) -> None:
        asyncio.run(self.networking.attach(instance))

    def detach(self, instance: Cards) -> None:
        asyncio.run(self.networking.detach(instance))

    def subnet(self) -> str:
        state: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        return str(state["subnet"])

    def log(self) -> str:
        return (self._place / "log").read_text()


@contextmanager
def new_site(host: Namespace | None = None) -> Iterator[Site]:
    """On this host, or on one of its own."""
    # Not below pytest's own: dnsmasq's user reads what lies there.
    with (
        tempfile.TemporaryDirectory(prefix="multipass-net-") as place,
        nullcontext(host) if host else netns.namespace() as at,
    ):
        Path(place).chmod(0o755)
        yield Site(at, Path(place))


def cards(name: str = "one", mac: str = MAC) -> Cards:
    return Cards(name, mac)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask_for_address(guest: Namespace, place: Path, code: int | None = 0) -> str:
    script = place / "udhcpc"
    script.write_text(UDHCPC_SCRIPT)
    script.chmod(0o755)
    words = ("-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", str(script))
    return guest.run("udhcpc", *words, code=code)


def load(host: Namespace, rules: str) -> None:
    host.run("sh", "-c", f"nft -f - <<'END'\n{rules}\nEND")


def way_out(host: Namespace, world: Namespace) -> None:
    netns.connect(host, "uplink", world, "eth0")
    host.run("ip", "address", "add", "192.0.2.9/24", "dev", "uplink")
    host.run("ip", "route", "add", "default", "via", WORLD)
    world.run("ip", "address", "add", f"{WORLD}/24", "dev", "eth0")
