"""The cluster as this daemon knows it: in memory, so that no `list` waits for it.

What changes is given to those that follow a machine. Of others `on_change` gets the name when one
was started or removed, and `on_unused` when one was made and never started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from multipassd.drivers.incus.api.errors import shown
from multipassd.drivers.incus.cluster.entry import ERROR, FROZEN, RUNNING, Entry
from protocol.names import MAX_MEMBER

ONLINE = "Online"
NOT_YET = "it has not answered yet"


class Follower(Protocol):
    """What wants to know of one machine."""

    def saw(self, entry: Entry | None) -> None:
        """It is so now; None: it is no more on the cluster."""

    def turned(self) -> None:
        """The cluster or the machine's member can be reached again, or no more."""

    def rebooted(self) -> None: ...


class View:
    """Instances of the project by name, and what of the cluster can't be reached."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.members: dict[str, str] = {}  # by name, as Incus calls their status
        self.unreachable = NOT_YET  # why the cluster is not reached now; empty while it is
        self.listed = False  # it was listed once, maybe long ago
        self.followers: dict[str, Follower] = {}  # by machine
        self.usable: Callable[[Entry], bool] = lambda entry: False  # is it this service's to use?
        self.on_change: Callable[[str], None] = lambda name: None
        self.on_unused: Callable[[str], None] = lambda name: None

    # -- changes ----------------------------------------------------------------------------------

    def listed_all(self, entries: Iterable[Entry], members: Mapping[str, str]) -> None:
        """All that there is now."""
        former = self.entries
        self.entries = {each.name: _completed(each, former.get(each.name)) for each in entries}
        known = {shown(name, MAX_MEMBER): shown(status) for name, status in members.items()}
        turns = bool(self.unreachable) or self.members != known
        self.unreachable, self.listed = "", True
        self.members = known
        for name in former.keys() | self.entries.keys():
            if former.get(name) != self.entries.get(name):
                self._tell(name, former.get(name))
        if turns:
            self._turn()

    def put(self, entry: Entry) -> None:
        """One instance, as it is now."""
        former = self.entries.get(entry.name)
        self.entries[entry.name] = entry = _completed(entry, former)
        if former != entry:
            self._tell(entry.name, former)

    def remove(self, name: str) -> None:
        if former := self.entries.pop(name, None):
            self._tell(name, former)

    def lost(self, why: str) -> None:
        """The cluster is not reached any more; what was known of it is kept."""
        turns = self.unreachable in ("", NOT_YET)
        self.unreachable = why
        if turns:
            self._turn()

    def rebooted(self, name: str) -> None:
        if follower := self.followers.get(name):
            follower.rebooted()

    def _tell(self, name: str, former: Entry | None) -> None:
        entry = self.get(name)
        if follower := self.followers.get(name):
            follower.saw(entry)
        elif entry is None or (entry.status == RUNNING and _status(former) != RUNNING):
            self.on_change(name)
        elif entry.unused and former is None:
            self.on_unused(name)

    def _turn(self) -> None:
        for follower in list(self.followers.values()):
            follower.turned()

    # -- questions --------------------------------------------------------------------------------

    def get(self, name: str) -> Entry | None:
        """A machine that this service may use; None also for another's that has its name."""
        entry = self.entries.get(name)
        return entry if entry is not None and self.usable(entry) else None

    def trouble(self, name: str) -> str:
        """Why a machine can't be reached now, a clause; empty where it can be."""
        if self.unreachable:
            return f"the Incus cluster is not reached: {self.unreachable}"
        entry = self.get(name)
        if entry is None:
            return ""
        if entry.location and self.members.get(entry.location, ONLINE) != ONLINE:
            return f"its host {entry.location} is {self.members[entry.location].lower()}"
        if entry.status == ERROR:
            where = entry.location or "the server"
            return f"Incus says that it is in error; its host {where} may be down"
        if entry.status == FROZEN:
            return "it is paused: `incus resume` lets it go on"
        return ""

    def troubles(self) -> list[str]:
        """Of the cluster and its members, sentences."""
        if self.unreachable == NOT_YET:  # for the first second of this service
            return ["The Incus cluster has not answered yet: what is shown is as it is on record."]
        if self.unreachable:
            since = "what is shown is as it was last known" if self.listed else "nothing is known"
            return [f"The Incus cluster is not reached, so {since}: {self.unreachable}"]
        down = [f"{name} ({status})" for name, status in sorted(self.members.items())
                if status != ONLINE]  # fmt: skip
        if not down:
            return []
        what = "Hosts of the Incus cluster that are" if len(down) > 1 else "A host that is"
        return [
            f"{what} not online: {', '.join(down)}. `incus cluster list` on another one shows "
            "them; what is there can't be reached until then."
        ]


def _completed(entry: Entry, former: Entry | None) -> Entry:
    """With what was known of it before its host went down."""
    if entry.known or former is None or former.location != entry.location:
        return entry
    return former._replace(status=entry.status, addresses=())


def _status(entry: Entry | None) -> str:
    return entry.status if entry is not None else ""
