"""The bridges that we made on the host's wires, on record: what was changed is known before it is,
so that a service which is killed in the middle puts it back when it comes again.

A bridge stays as long as an instance that is on it exists. A boot forgets it, as nothing of it is
in the host's configuration; the first instance that needs it has it made again, as its user once
permitted. It goes with the last such instance, and with the package.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from multipassd.network import bridge
from multipassd.network.interfaces import TAP
from multipassd.network.reservations import BRIDGES
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks import kernel, network_manager, networkd
from multipassd.network.uplinks.kernel import Place
from multipassd.network.uplinks.network_manager import Plan
from multipassd.network.uplinks.networkd import Files
from multipassd.system import boot_id, log
from multipassd.system.files import read_regular, write_atomically

MODE = 0o644  # nothing in it is secret; the daemon looks there
MAX_SIZE = 1 << 20

_log = log.get("network")


class Stage(StrEnum):
    PERMITTED = "permitted"  # there is none now
    MAKING = "making"  # or half unmade
    MADE = "made"


Change = Plan | Files | Place  # by NetworkManager, by systemd-networkd, or by ourselves


@dataclass(frozen=True)
class Uplink:
    device: str
    bridge: str
    stage: Stage = Stage.PERMITTED
    users: tuple[str, ...] = ()  # MAC addresses of instances' cards
    change: Change | None = None
    boot: str = ""  # of the host; another one has forgotten the change


class Uplinks:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known = {one.device: one for one in read(directory)}

    @property
    def unfinished(self) -> bool:
        return any(one.stage is Stage.MAKING for one in self._known.values())

    def permitted(self, device: str) -> bool:
        return device in self._known

    def mend(self) -> None:
        """Put back what was begun and not ended. Raises NetworkFailure."""
        for one in list(self._known.values()):
            if one.stage is Stage.MAKING:
                _log.warning("%s was left on its way to a bridge: it is put back", one.device)
                self._unmake(one)

    def make(self, device: str) -> str:
        """Its bridge. Raises NetworkFailure; then all is as before."""
        name = kernel.bridge_name(device)
        if bridge.exists(name):
            raise NetworkFailure(
                f"There is {name} on this host already, and {device} is not connected to it. "
                f"Please connect {device} to it, or remove it, then try again."
            )
        change = _plan(device, name)
        users = self._known[device].users if device in self._known else ()
        one = Uplink(device, name, Stage.MAKING, users, change, boot_id.current())
        self._keep(one)
        try:
            _enclose(one)
            self._keep(replace(one, stage=Stage.MADE))
        except BaseException as error:
            _log.warning("%s is put back, as it can't be on a bridge: %s", device, error)
            self._unmake(one)
            raise
        _log.info("%s is on the bridge %s now", device, name)
        return name

    def use(self, device: str, mac: str) -> None:
        """The card is on its bridge. Raises NetworkFailure."""
        one = self._known.get(device)
        if one and mac not in one.users:
            self._keep(replace(one, users=(*one.users, mac)))

    def leave(self, mac: str = "") -> None:
        """The card is gone for good; so is each bridge that no card is left for. Raises
        NetworkFailure."""
        for one in list(self._known.values()):
            left = tuple(user for user in one.users if user != mac)
            if left != one.users:
                one = replace(one, users=left)
                self._keep(one)
            if one.stage is Stage.MADE and not left and not _strangers(one):
                _log.info("no instance needs %s: %s is on its own again", one.bridge, one.device)
                self._unmake(one)

    def dismantle(self) -> None:
        """Goes as far as it can."""
        for one in list(self._known.values()):
            try:
                self._unmake(one)
                self._write({name: it for name, it in self._known.items() if name != one.device})
            except NetworkFailure as error:
                _log.warning("%s could not be given back wholly: %s", one.device, error)

    def _unmake(self, one: Uplink) -> None:
        """The permission stays: who gave it may have an instance that has not started yet."""
        one = replace(one, stage=Stage.MAKING, change=_to_undo(one))
        self._keep(one)  # until it is done: the next try goes on
        for tap in bridge.taps(one.bridge):
            bridge.remove_tap(tap)
        if isinstance(one.change, Plan):
            network_manager.undo(one.change)
        elif isinstance(one.change, Files):
            networkd.undo(one.change)
        elif one.change is not None:
            kernel.release(one.bridge, one.device, one.change)
        self._keep(Uplink(one.device, one.bridge, users=one.users))

    # -- the file ---------------------------------------------------------------------------------

    def _keep(self, one: Uplink) -> None:
        self._write({**self._known, one.device: one})

    def _write(self, known: dict[str, Uplink]) -> None:
        data = json.dumps([_to_json(one) for one in known.values()]).encode() + b"\n"
        try:
            write_atomically(self._directory / BRIDGES, data, MODE)
        except OSError as error:
            raise NetworkFailure(
                f"{self._directory / BRIDGES} can't be written: {error.strerror}."
            ) from None
        self._known = known


def read(directory: Path) -> list[Uplink]:
    """What is on record; nothing if that can't be read."""
    try:
        return [_from_json(one) for one in json.loads(read_regular(directory / BRIDGES, MAX_SIZE))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s is not used: %s", BRIDGES, error)
        return []


def _plan(device: str, name: str) -> Change:
    """By whoever keeps the device. Raises NetworkFailure."""
    if network_manager.manages(device):
        return network_manager.plan(device, name)
    if networkd.manages(device):
        return networkd.plan(device, name)
    return kernel.place(device)


def _enclose(one: Uplink) -> None:
    if isinstance(one.change, Plan):
        network_manager.enclose(one.change)
    elif isinstance(one.change, Files):
        networkd.enclose(one.change)
    elif one.change is not None:
        kernel.enclose(one.device, one.change)


def _to_undo(one: Uplink) -> Change | None:
    """Ourselves we give back what the bridge has by now, which may be more than was taken."""
    if one.boot != boot_id.current():
        return None
    if isinstance(one.change, Place) and one.stage is Stage.MADE:
        return kernel.place(one.bridge) if bridge.exists(one.bridge) else None
    return one.change


def _strangers(one: Uplink) -> list[str]:
    """Who else is on the bridge by now, e.g. another program's guests."""
    members = bridge.members(one.bridge)
    return [name for name in members if name != one.device and not name.startswith(TAP)]


def _to_json(one: Uplink) -> dict[str, Any]:
    return {
        "device": one.device,
        "bridge": one.bridge,
        "stage": one.stage,
        "boot": one.boot,
        "users": one.users,
        "plan": asdict(one.change) if isinstance(one.change, Plan) else None,
        "files": asdict(one.change) if isinstance(one.change, Files) else None,
        "place": asdict(one.change) if isinstance(one.change, Place) else None,
    }


def _from_json(entry: dict[str, Any]) -> Uplink:
    change: Change | None = None
    if entry["plan"]:
        change = Plan(**entry["plan"])
    elif entry["files"]:
        change = Files(**entry["files"])
    elif place := entry["place"]:
        routes = tuple(tuple(words) for words in place["routes"])
        change = Place(place["mac"], tuple(place["addresses"]), routes)
    users = tuple(str(mac) for mac in entry["users"])
    stage = Stage(entry["stage"])
    return Uplink(entry["device"], entry["bridge"], stage, users, change, entry["boot"])
