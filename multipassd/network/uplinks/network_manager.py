"""Bridges on ethernet devices that NetworkManager manages, made as an administrator would: a
connection for the bridge and one for its port.

The bridge has the device's MAC address and what its connection says about addresses, so that a DHCP
server gives it the same one. The connections are kept in memory only, so a boot removes them, also
after a power cut. The device's own connection is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from multipassd.network import tools
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks.addresses import WAIT_SECONDS, addresses, all_there, until
from multipassd.network.uplinks.uplink import Uplink
from multipassd.system import log

UNIT = "NetworkManager"
NAME = "multipass "  # and the device's, so that administrators see who made the connections
# The highest: after a pulled cable the port is taken up, and not the former connection.
PRIORITY = "999"

UNMANAGED, DISCONNECTED, CONNECTED = 10, 30, 100  # NetworkManager's own numbers
NOT_RUNNING = "NetworkManager is not running"
ETHERNET = "802-3-ethernet"
DEFAULT = "-1"  # of a number
# What the bridge takes over, beside all of ipv4 and ipv6.
COPIED = (
    "connection.zone", "connection.metered", "connection.mdns", "connection.llmnr",
    "connection.dns-over-tls", "connection.stable-id", "proxy.method", "proxy.browser-only",
    "proxy.pac-url",
)  # fmt: skip

_log = log.get("network")


@dataclass(frozen=True)
class NetworkManagerUplink(Uplink):
    """A bridge by two connections of NetworkManager."""

    key = "plan"

    former: str  # UUID of the connection that the device has
    bridge_id: str  # UUIDs of the two that are made
    port_id: str

    @staticmethod
    def manages(device: str) -> bool:
        import shutil  # slow to import, and rarely needed

        if shutil.which("nmcli", path=tools.PATH) is None:
            return False
        if not _runs():
            return False
        with suppress(NetworkFailure):  # before that it has not looked at all devices yet
            _until(lambda: _nmcli("-g", "STARTUP", "general").strip() == "started", "")
        known = _nmcli("-e", "no", "-g", "DEVICE", "device").splitlines()
        return device in known and _state(device)[0] > UNMANAGED

    @classmethod
    def plan(cls, device: str, bridge: str) -> Self:
        import uuid  # slow to import, and rarely needed

        with suppress(NetworkFailure):  # it may be connecting, as at boot
            _until(lambda: not DISCONNECTED < _state(device)[0] < CONNECTED, "")
        state, former = _state(device)
        if state != CONNECTED or not former:
            raise NetworkFailure(
                f"{device} is not connected now, says NetworkManager (`nmcli device`). Please "
                "connect it, then try again."
            )
        settings = _settings(former)
        kind, master = settings["connection.type"], settings.get("connection.master")
        if kind != ETHERNET or master or settings.get("802-1x.eap"):
            why = "is part of another device" if master else "logs in to its network"
            raise NetworkFailure(
                f"{device} {why}, which its bridge could not take over. Please make a bridge with "
                "it by NetworkManager, and name that as the network."
            )
        return cls(device, bridge, former, str(uuid.uuid4()), str(uuid.uuid4()))

    def apply(self) -> None:
        before = addresses(self.device)
        self._add_bridge()
        self._add_port()
        self._copy_settings()
        _up(self.port_id)  # and with it the bridge
        _until(
            lambda: (
                _state(self.bridge)[0] == CONNECTED and all_there(before, addresses(self.bridge))
            ),
            f"{self.device} did not get its address back on a bridge",
        )
        self._prefer()

    def undo(self) -> None:
        known = _nmcli("-g", "UUID", "connection").split()
        ours = [each for each in (self.bridge_id, self.port_id) if each in known]
        if ours:
            _nmcli("connection", "delete", *(word for each in ours for word in ("uuid", each)))
        if not (NET / self.device).exists():
            return
        state, connection = _state(self.device)
        if connection != self.former and not ours and state != DISCONNECTED:
            return  # an administrator has given it another one since
        try:
            if connection != self.former:
                self._connect(known)
            _until(lambda: _state(self.device)[0] == CONNECTED, f"{self.device} has no address yet")
        except NetworkFailure as error:  # nothing of ours is in its way any longer
            _log.error("%s NetworkManager goes on trying.", error)

    def _connect(self, known: list[str]) -> None:
        if self.former in known:
            _up(self.former, "ifname", self.device)
        else:  # some are NetworkManager's own, under other names each time
            _nmcli("-w", str(WAIT_SECONDS), "device", "connect", self.device)

    def _add_bridge(self) -> None:
        (link,) = tools.listed("ip", "-json", "link", "show", "dev", self.device)
        _nmcli(
            "connection", "add", "save", "no", "type", "bridge", "con-name", NAME + self.bridge,
            "ifname", self.bridge, "connection.uuid", self.bridge_id, "connection.autoconnect",
            "no", "bridge.stp", "no", f"{ETHERNET}.cloned-mac-address", link["address"],
        )  # fmt: skip

    def _add_port(self) -> None:
        mtu = _settings(self.former).get(f"{ETHERNET}.mtu") or "auto"
        _nmcli(
            "connection", "add", "save", "no", "type", "ethernet", "con-name", NAME + self.device,
            "ifname", self.device, "connection.uuid", self.port_id, "connection.autoconnect", "no",
            "connection.master", self.bridge_id, "connection.slave-type", "bridge",
            f"{ETHERNET}.cloned-mac-address", "preserve", f"{ETHERNET}.mtu", mtu,
        )  # fmt: skip

    def _copy_settings(self) -> None:
        wanted, present = _settings(self.former), _settings(self.bridge_id)
        wanted |= _metrics(self.device, wanted)
        words = differences(wanted, present)
        if words:
            _nmcli("connection", "modify", "--temporary", self.bridge_id, *words)

    def _prefer(self) -> None:
        """After a pulled cable, too."""
        for connection in (self.port_id, self.bridge_id):
            _nmcli(
                "connection", "modify", "--temporary", connection,
                "connection.autoconnect", "yes", "connection.autoconnect-priority", PRIORITY,
            )  # fmt: skip


def _runs() -> bool:
    try:
        return _nmcli("-g", "RUNNING", "general").strip() == "running"
    except NetworkFailure as error:  # some versions of nmcli print it, some fail
        if NOT_RUNNING in str(error):
            return False
        raise


def differences(wanted: dict[str, str], present: dict[str, str]) -> list[str]:
    """The settings about addresses, in nmcli's words, that a connection needs to be like another.
    Pure."""
    words: list[str] = []
    for name, value in wanted.items():
        copied = name.startswith(("ipv4.", "ipv6.")) or name in COPIED
        if copied and not name.endswith("-deprecated") and present.get(name) != value:
            words += [name, value]
    return words


def _metrics(device: str, settings: dict[str, str]) -> dict[str, str]:
    """NetworkManager prefers other devices to a bridge; here routes keep their metric."""
    found = {}
    for family, name in (("-4", "ipv4.route-metric"), ("-6", "ipv6.route-metric")):
        shown = tools.listed("ip", "-json", family, "route", "show", "default", "dev", device)
        metrics = [each["metric"] for each in shown if "metric" in each]
        if metrics and settings.get(name) == DEFAULT:
            found[name] = str(min(metrics))
    return found


def _up(connection: str, *more: str) -> None:
    _nmcli("-w", str(WAIT_SECONDS), "connection", "up", "uuid", connection, *more)


def _state(device: str) -> tuple[int, str]:
    """The number of its state, and the UUID of its connection. Raises NetworkFailure."""
    output = _nmcli("-g", "GENERAL.STATE,GENERAL.CON-UUID", "device", "show", device)
    lines = output.splitlines()
    number = lines[0].split()[0] if lines and lines[0].strip() else "0"
    return int(number), lines[1].strip() if len(lines) > 1 else ""


def _settings(connection: str) -> dict[str, str]:
    output = _nmcli(
        "-t", "-e", "no", "-f", f"connection,ipv4,ipv6,proxy,{ETHERNET},802-1x",
        "connection", "show", "uuid", connection,
    )  # fmt: skip
    pairs = (line.partition(":") for line in output.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _until(true: Callable[[], bool], failure: str) -> None:
    until(true, failure, UNIT)


def _nmcli(*arguments: str) -> str:
    return tools.run("nmcli", *arguments, seconds=WAIT_SECONDS + tools.SECONDS)
