"""Write-ahead record of bridges on the host's ethernet devices: an interrupted change is undone at
the next start.

A bridge stays as long as an instance that uses it exists. A boot removes it, as nothing of it is in
the host's configuration; the first instance that needs it has it made again, as its user permitted
once. It is removed with the last such instance, and with the package.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from multipassd.network import bridge
from multipassd.network.interfaces import TAP
from multipassd.network.reservations import BRIDGES
from multipassd.network.tools import NetworkFailure
from multipassd.network.uplinks import choice
from multipassd.network.uplinks.uplink import Uplink, bridge_name
from multipassd.system import boot_id, log
from multipassd.system.files import read_regular, write_atomically

MODE = 0o644  # nothing in it is secret; the daemon reads it
MAX_SIZE = 1 << 20

_log = log.get("network")


class Stage(StrEnum):
    """How far a bridge is made."""

    PERMITTED = "permitted"  # there is none now
    MAKING = "making"  # partly made, or partly undone
    MADE = "made"


@dataclass(frozen=True)
class Entry:
    """One device that may be on a bridge of its own."""

    device: str
    bridge: str
    stage: Stage = Stage.PERMITTED
    users: tuple[str, ...] = ()  # MAC addresses of instances' cards
    uplink: Uplink | None = None
    boot: str = ""  # of the host; the uplink ended with that


class Uplinks:
    """All devices on record, by name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries = {entry.device: entry for entry in read(directory)}

    @property
    def unfinished(self) -> bool:
        return any(entry.stage is Stage.MAKING for entry in self._entries.values())

    def permitted(self, device: str) -> bool:
        return device in self._entries

    def repair(self) -> None:
        """Undo what was begun and not finished. Raises NetworkFailure."""
        for entry in list(self._entries.values()):
            if entry.stage is Stage.MAKING:
                _log.warning("%s was left on its way to a bridge: it is put back", entry.device)
                self._undo(entry)

    def make(self, device: str) -> str:
        """The name of its bridge. Raises NetworkFailure; then all is as before."""
        name = bridge_name(device)
        if bridge.exists(name):
            raise NetworkFailure(
                f"There is {name} on this host already, and {device} is not connected to it. "
                f"Please connect {device} to it, or remove it, then try again."
            )
        uplink = choice.plan(device, name)
        users = self._entries[device].users if device in self._entries else ()
        entry = Entry(device, name, Stage.MAKING, users, uplink, boot_id.current())
        self._save(entry)
        try:
            uplink.apply()
            self._save(replace(entry, stage=Stage.MADE))
        except BaseException as error:
            _log.warning("%s is put back, as it can't be on a bridge: %s", device, error)
            self._undo(entry)
            raise
        _log.info("%s is on the bridge %s now", device, name)
        return name

    def attach(self, device: str, mac: str) -> None:
        """An instance's card uses the device's bridge. Raises NetworkFailure."""
        entry = self._entries.get(device)
        if entry and mac not in entry.users:
            self._save(replace(entry, users=(*entry.users, mac)))

    def release(self, mac: str = "") -> None:
        """The card's instance was purged. Removes each bridge that no card uses any more. Raises
        NetworkFailure."""
        for entry in list(self._entries.values()):
            left = tuple(user for user in entry.users if user != mac)
            if left != entry.users:
                entry = replace(entry, users=left)
                self._save(entry)
            if entry.stage is Stage.MADE and not left and not _other_members(entry):
                _log.info(
                    "no instance needs %s: %s is on its own again", entry.bridge, entry.device
                )
                self._undo(entry)

    def dismantle(self) -> None:
        """Undo all bridges. Goes as far as it can."""
        for entry in list(self._entries.values()):
            try:
                self._undo(entry)
                self._write({n: each for n, each in self._entries.items() if n != entry.device})
            except NetworkFailure as error:
                _log.warning("%s could not be given back wholly: %s", entry.device, error)

    def _undo(self, entry: Entry) -> None:
        """The permission stays: an instance that needs it may not have started yet."""
        entry = replace(entry, stage=Stage.MAKING, uplink=_to_undo(entry))
        self._save(entry)  # until it is done: the next try goes on
        for tap in bridge.taps(entry.bridge):
            bridge.remove_tap(tap)
        if entry.uplink is not None:
            entry.uplink.undo()
        self._save(Entry(entry.device, entry.bridge, users=entry.users))

    # -- the file ---------------------------------------------------------------------------------

    def _save(self, entry: Entry) -> None:
        self._write({**self._entries, entry.device: entry})

    def _write(self, entries: dict[str, Entry]) -> None:
        data = json.dumps([_to_json(entry) for entry in entries.values()]).encode() + b"\n"
        try:
            write_atomically(self._directory / BRIDGES, data, MODE)
        except OSError as error:
            raise NetworkFailure(
                f"{self._directory / BRIDGES} can't be written: {error.strerror}."
            ) from None
        self._entries = entries


def read(directory: Path) -> list[Entry]:
    """The entries on record; none if they can't be read."""
    try:
        return [
            _from_json(each) for each in json.loads(read_regular(directory / BRIDGES, MAX_SIZE))
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s is not used: %s", BRIDGES, error)
        return []


def _to_undo(entry: Entry) -> Uplink | None:
    if entry.uplink is None or entry.boot != boot_id.current():
        return None
    return entry.uplink.current() if entry.stage is Stage.MADE else entry.uplink


def _other_members(entry: Entry) -> list[str]:
    """Members of the bridge that others have added since, e.g. another program's guests."""
    members = bridge.members(entry.bridge)
    return [name for name in members if name != entry.device and not name.startswith(TAP)]


def _to_json(entry: Entry) -> dict[str, Any]:
    return {
        "device": entry.device,
        "bridge": entry.bridge,
        "stage": entry.stage,
        "boot": entry.boot,
        "users": entry.users,
        **choice.to_json(entry.uplink),
    }


def _from_json(fields: dict[str, Any]) -> Entry:
    users = tuple(str(mac) for mac in fields["users"])
    return Entry(
        fields["device"], fields["bridge"], Stage(fields["stage"]), users,
        choice.from_json(fields), fields["boot"],
    )  # fmt: skip
