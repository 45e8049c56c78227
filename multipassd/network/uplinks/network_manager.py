"""Making an ethernet device a member of a bridge where NetworkManager keeps it, and back: as an
administrator would, by a connection for the bridge and one for its port.

The bridge has the device's MAC address and what its connection says about addresses, so that a DHCP
server gives it the same one. The connections are kept in memory only: a boot forgets them, and
nobody has to clean up after a power cut. The device's own connection is never changed.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from multipassd.network import tools
from multipassd.network.interfaces import NET
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks.addresses import WAIT_SECONDS, addresses, all_there, until
from multipassd.system import log

UNIT = "NetworkManager"
NAME = "multipass "  # and the device's, so that people see whose connections these are
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
class Plan:
    """What is going to be done, and all that is needed to undo it."""

    device: str
    bridge: str
    former: str  # UUID of the connection that the device has
    bridge_id: str  # UUIDs of the two that will be
    port_id: str


def manages(device: str) -> bool:
    """Raises NetworkFailure."""
    if shutil.which("nmcli", path=tools.PATH) is None:
        return False
    if not _runs():
        return False
    with suppress(NetworkFailure):  # before that it has not looked at all devices yet
        _until(lambda: _nmcli("-g", "STARTUP", "general").strip() == "started", "")
    known = _nmcli("-e", "no", "-g", "DEVICE", "device").splitlines()
    return device in known and _state(device)[0] > UNMANAGED


def _runs() -> bool:
    try:
        return _nmcli("-g", "RUNNING", "general").strip() == "running"
    except NetworkFailure as error:  # some versions of nmcli print it, some fail
        if NOT_RUNNING in str(error):
            return False
        raise


def plan(device: str, bridge: str) -> Plan:
    """Raises NetworkFailure where it can't be done. Changes nothing."""
    with suppress(NetworkFailure):  # it may be on its way, as at boot
        _until(lambda: not DISCONNECTED < _state(device)[0] < CONNECTED, "")
    state, former = _state(device)
    if state != CONNECTED or not former:
        raise NetworkFailure(
            f"{device} is not connected now, says NetworkManager (`nmcli device`). Please connect "
            "it, then try again."
        )
    settings = _settings(former)
    kind, master = settings["connection.type"], settings.get("connection.master")
    if kind != ETHERNET or master or settings.get("802-1x.eap"):
        why = "is part of another device" if master else "logs in to its network"
        raise NetworkFailure(
            f"{device} {why}, which its bridge could not take over. Please make a bridge with it "
            "by NetworkManager, and name that as the network."
        )
    return Plan(device, bridge, former, str(uuid.uuid4()), str(uuid.uuid4()))


def enclose(plan: Plan) -> None:
    """Raises NetworkFailure; then `undo` it."""
    before = addresses(plan.device)
    _add_bridge(plan)
    _add_port(plan)
    _copy_settings(plan)
    _up(plan.port_id)  # and with it the bridge
    _until(
        lambda: _state(plan.bridge)[0] == CONNECTED and all_there(before, addresses(plan.bridge)),
        f"{plan.device} did not get its address back on a bridge",
    )
    _stay(plan)


def undo(plan: Plan) -> None:
    """The device has its own connection again, whatever was done of the plan, or nothing. Raises
    NetworkFailure while something of the plan is left."""
    known = _nmcli("-g", "UUID", "connection").split()
    there = [one for one in (plan.bridge_id, plan.port_id) if one in known]
    if there:
        _nmcli("connection", "delete", *(word for one in there for word in ("uuid", one)))
    if not (NET / plan.device).exists():
        return
    state, connection = _state(plan.device)
    if connection != plan.former and not there and state != DISCONNECTED:
        return  # somebody has given it another meanwhile
    try:
        if connection != plan.former:
            _connect(plan, known)
        _until(lambda: _state(plan.device)[0] == CONNECTED, f"{plan.device} has no address yet")
    except NetworkFailure as error:  # then nothing here is in its way any longer
        _log.error("%s NetworkManager goes on trying.", error)


def _connect(plan: Plan, known: list[str]) -> None:
    if plan.former in known:
        _up(plan.former, "ifname", plan.device)
    else:  # some are NetworkManager's own, under other names each time
        _nmcli("-w", str(WAIT_SECONDS), "device", "connect", plan.device)


def _add_bridge(plan: Plan) -> None:
    (link,) = tools.listed("ip", "-json", "link", "show", "dev", plan.device)
    _nmcli(
        "connection", "add", "save", "no", "type", "bridge", "con-name", NAME + plan.bridge,
        "ifname", plan.bridge, "connection.uuid", plan.bridge_id, "connection.autoconnect", "no",
        "bridge.stp", "no", f"{ETHERNET}.cloned-mac-address", link["address"],
    )  # fmt: skip


def _add_port(plan: Plan) -> None:
    mtu = _settings(plan.former).get(f"{ETHERNET}.mtu") or "auto"
    _nmcli(
        "connection", "add", "save", "no", "type", "ethernet", "con-name", NAME + plan.device,
        "ifname", plan.device, "connection.uuid", plan.port_id, "connection.autoconnect", "no",
        "connection.master", plan.bridge_id, "connection.slave-type", "bridge",
        f"{ETHERNET}.cloned-mac-address", "preserve", f"{ETHERNET}.mtu", mtu,
    )  # fmt: skip


def _copy_settings(plan: Plan) -> None:
    wanted, there = _settings(plan.former), _settings(plan.bridge_id)
    wanted |= _metrics(plan.device, wanted)
    words = differences(wanted, there)
    if words:
        _nmcli("connection", "modify", "--temporary", plan.bridge_id, *words)


def differences(wanted: dict[str, str], there: dict[str, str]) -> list[str]:
    """What makes the one connection reach addresses as the other does, in nmcli's words. Pure."""
    words: list[str] = []
    for name, value in wanted.items():
        copied = name.startswith(("ipv4.", "ipv6.")) or name in COPIED
        if copied and not name.endswith("-deprecated") and there.get(name) != value:
            words += [name, value]
    return words


def _metrics(device: str, settings: dict[str, str]) -> dict[str, str]:
    """NetworkManager prefers other devices to a bridge; here routes stay as good as they are."""
    found = {}
    for family, name in (("-4", "ipv4.route-metric"), ("-6", "ipv6.route-metric")):
        shown = tools.listed("ip", "-json", family, "route", "show", "default", "dev", device)
        metrics = [one["metric"] for one in shown if "metric" in one]
        if metrics and settings.get(name) == DEFAULT:
            found[name] = str(min(metrics))
    return found


def _stay(plan: Plan) -> None:
    """Over a pulled cable, too."""
    for one in (plan.port_id, plan.bridge_id):
        _nmcli(
            "connection", "modify", "--temporary", one,
            "connection.autoconnect", "yes", "connection.autoconnect-priority", PRIORITY,
        )  # fmt: skip


def _up(connection: str, *more: str) -> None:
    _nmcli("-w", str(WAIT_SECONDS), "connection", "up", "uuid", connection, *more)


def _state(device: str) -> tuple[int, str]:
    """Its number, and the UUID of the connection that it has. Raises NetworkFailure."""
    said = _nmcli("-g", "GENERAL.STATE,GENERAL.CON-UUID", "device", "show", device).splitlines()
    number = said[0].split()[0] if said and said[0].strip() else "0"
    return int(number), said[1].strip() if len(said) > 1 else ""


def _settings(connection: str) -> dict[str, str]:
    said = _nmcli(
        "-t", "-e", "no", "-f", f"connection,ipv4,ipv6,proxy,{ETHERNET},802-1x",
        "connection", "show", "uuid", connection,
    )  # fmt: skip
    pairs = (line.partition(":") for line in said.splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _until(true: Callable[[], bool], failure: str) -> None:
    until(true, failure, UNIT)


def _nmcli(*arguments: str) -> str:
    return tools.run("nmcli", *arguments, seconds=WAIT_SECONDS + tools.SECONDS)
