"""DHCP and DNS for the bridge, by dnsmasq, which listens on the bridge only."""

from __future__ import annotations

import pwd
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from multipassd.network import reservations, state_directory, tools
from multipassd.network import subnet as subnets
from multipassd.network.tools import NetworkFailure

DOMAIN = "multipass"
LEASE = "1h"
USERS = ("dnsmasq", "nobody")  # the first is the package's own
READY = "started, version"  # logged once all of its sockets are bound
READY_SECONDS = 30.0  # on a machine that is busy with other things
STOP_SECONDS = 5.0
LATE = (
    "dnsmasq, which gives instances their addresses, runs, and did not say that it is ready within "
    f"{READY_SECONDS:.0f} s. Please look at the host's load, then try again."
)


def arguments(bridge: str, subnet: IPv4Network, directory: Path, user: str) -> list[str]:
    """The command line. Pure. Only instances get addresses, each its own; DNS queries about them or
    about private addresses are never forwarded."""
    return [
        "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--log-facility=-",
        f"--user={user}", "--bind-interfaces", "--except-interface=lo",
        f"--interface={bridge}",
        f"--dhcp-range={subnet.network_address},static,{subnet.netmask},{LEASE}",
        f"--dhcp-hostsfile={directory / reservations.FILE}",
        f"--dhcp-leasefile={directory / reservations.LEASES}",
        "--dhcp-authoritative", "--dhcp-no-override", "--no-ping", "--no-hosts",
        f"--domain={DOMAIN}", f"--local=/{DOMAIN}/", "--bogus-priv", "--domain-needed",
    ]  # fmt: skip


class Dnsmasq:
    """The process of dnsmasq, a child of this one."""

    def __init__(self, bridge: str, subnet: IPv4Network, directory: Path) -> None:
        self._user = _user()
        self._directory = directory
        self._words = arguments(bridge, subnet, directory, self._user)
        self._address = str(subnets.gateway(subnet))
        self._process: subprocess.Popen[str] | None = None
        self._ready = threading.Event()
        self._last = ""  # line of its log

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns once it serves. Raises NetworkFailure."""
        program = tools.program("dnsmasq")
        if not tools.may(self._user, self._directory / reservations.FILE, "-r"):
            raise NetworkFailure(
                f"dnsmasq's user {self._user} can't read the instances' addresses "
                f"in {self._directory}. Please open the directories above to it (`chmod o+x`), or "
                f"name another by {state_directory.DIRECTORY}, then try again."
            )
        self._ready.clear()
        try:
            process = self._process = subprocess.Popen(
                [program, *self._words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", env=tools.ENVIRONMENT,
            )  # fmt: skip
        except OSError as error:
            raise NetworkFailure(f"{program} can't be started: {error.strerror}.") from None
        threading.Thread(target=self._forward_log, args=(process,), daemon=True).start()
        self._ready.wait(READY_SECONDS)
        late = not self._ready.is_set()
        if late or not self.runs or self._last.startswith("dnsmasq: failed"):
            self.stop()
            raise NetworkFailure(LATE if late else self._reason())

    def read_reservations(self) -> None:
        """Have it read the file of addresses again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _forward_log(self, process: subprocess.Popen[str]) -> None:
        """Copy its log to ours, and notice that it is ready or has ended."""
        assert process.stderr is not None
        for line in process.stderr:
            self._last = line.strip()
            sys.stderr.write(line)
            if READY in line:
                self._ready.set()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        self._ready.set()

    def _reason(self) -> str:
        why = self._last.removeprefix("dnsmasq: ") or "it gave no reason"
        if "Address already in use" in why:
            return (
                f"DHCP and DNS for instances can't be started, as another program listens at port "
                f"53 or 67 of all addresses ({why}). `ss -lnup 'sport = 53 or sport = 67'` shows "
                f"which; please have it listen at named addresses only, so that {self._address} "
                "is left to dnsmasq (dnsmasq: bind-interfaces; BIND: listen-on; Unbound: "
                "interface), then try again."
            )
        return f"dnsmasq, which gives instances their addresses, could not be started: {why}."


def _user() -> str:
    for name in USERS:
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return "root"
