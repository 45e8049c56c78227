"""What is known about each client beyond its certificate: a file of events beside the store.

One JSON object a line. Lines are appended, so that a crash costs at most the last one; only a
removal that finds the disk full overwrites its client's line. Trust never depends on this file:
losing it loses names and dates. It guards one thing: a store that is missing or empty while clients
are on record here is damage, not a fresh start.
"""

import os
import threading
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.system.files import READ_FLAGS, read_descriptor, write_atomically
from multipassd.trust import names
from multipassd.trust.client_record import (
    BY_HAND,
    TEXT_LIMIT,
    ClientRecord,
    Sightings,
    as_event,
    as_record,
    moment,
    renewing,
    role_entry,
    unknown,
)
from multipassd.trust.event_file import FILE_LIMIT, append, checked, decode, encode, overwrite
from multipassd.trust.lock import NO_ROOM
from protocol.roles import Role

COMPACT_SLACK = 1000  # spare lines before a rewrite pays for itself


class Clients:
    """The events of the file, replayed. The caller holds the store's lock for what writes."""

    def __init__(self, path: Path, owners: frozenset[int]) -> None:
        self.path = path
        self.problem = ""
        self._owners = owners
        self._records: dict[str, ClientRecord] = {}
        self._removed: set[str] = set()
        self._holding: dict[Role, set[str]] = {role: set() for role in Role}  # of the records
        self.unfinished: dict[str, str] = {}  # of the records: whose place it was to take
        # Device, inode, offset of a line's end, time stamp in nanoseconds.
        self._read_to: tuple[int, int, int, int] | None = None
        self._lines = 0
        self._reading = threading.Lock()  # the event loop may look while a worker does
        self._unwritten: dict[str, dict[str, Any]] = {}  # removals the file had no room for
        self._seen = Sightings()

    # What is known

    def refresh(self) -> None:
        """Read what was appended since the last time, by us or by another process."""
        with self._reading:
            self._refresh()

    def on_record(self, role: Role) -> bool:
        """Is there a client of the role on record that was not removed? As of now, in any thread.
        One of an unknown role counts for none."""
        with self._reading:
            self._refresh()
            return bool(self._holding[role])

    def holding(self, role: Role) -> frozenset[str]:
        """Those who have the role on record."""
        return frozenset(self._holding[role])

    def name_of(self, fingerprint: str) -> str:
        """The name on record, or one made of the fingerprint."""
        record = self._records.get(fingerprint)
        return names.of_fingerprint(fingerprint) if record is None else record.name

    def records(self) -> list[ClientRecord]:
        """Of all on record, also those that are not trusted while a file is damaged."""
        return list(self._records.values())

    def unknown(self, fingerprints: Iterable[str]) -> list[str]:
        return [each for each in fingerprints if each not in self._records]

    def known(self) -> frozenset[str]:
        """Those on record, without certificates that were to take another's place."""
        return frozenset(self._records) - self.unfinished.keys()

    def was_removed(self, fingerprint: str) -> bool:
        """Did a program remove it, and put that on record?"""
        return fingerprint in self._removed

    def describe(self, fingerprint: str) -> ClientRecord:
        return self._seen.added_to(self._records.get(fingerprint) or unknown(fingerprint))

    # What happens

    def enrolled(
        self,
        fingerprint: str,
        name: str,
        how: str,
        uid: int | None,
        at: float,
        role: Role = Role.ADMIN,
    ) -> None:
        event = {"event": "enrolled", "fingerprint": fingerprint, "at": at, "how": how}
        self._append([event | {"uid": uid, "name": name[:TEXT_LIMIT]} | role_entry(role)])

    def found(
        self, fingerprints: Iterable[str], at: float, role_of: Callable[[str], Role | None]
    ) -> None:
        """Put clients on record that an administrator added to the store by hand."""
        self._append(
            {"event": "enrolled", "fingerprint": each, "at": at, "how": BY_HAND}
            | role_entry(role_of(each) or Role.ADMIN)
            for each in fingerprints
        )

    def rename(self, fingerprint: str, name: str) -> None:
        self.refresh()
        self._append([as_event(self.describe(fingerprint)._replace(name=name))])
        self.refresh()

    def given(self, role: Role, fingerprints: Iterable[str]) -> None:
        """Put on record that clients have another role now."""
        self._append(
            as_event(self.describe(each)._replace(role=role)) for each in sorted(fingerprints)
        )
        self.refresh()

    def renewing(self, old: str, new: str) -> None:
        """Before the store has the new certificate: it has the old one's name from the first
        moment on. By itself this makes no client known."""
        self._append([renewing(self.describe(old), new)])
        self.refresh()

    def renewed(self, trusted: Container[str], at: float) -> dict[str, str]:
        """End the renewals whose new certificate is trusted, those, too, that a kill cut short.
        Returns the new by the old ones that are trusted no longer."""
        began = {new: old for new, old in self.unfinished.items() if new in trusted}
        gone = {old: new for new, old in began.items() if old not in trusted}
        entries = [as_event(self.describe(new)) for new in began]
        for old in gone:
            entries.append({"event": "removed", "fingerprint": old, "at": at})
            self._seen.forget(old)
        self._append(entries)
        self.refresh()
        return gone

    def removed(self, fingerprints: Iterable[str], uid: int | None, at: float) -> None:
        self._take_out(sorted(fingerprints), uid, at)

    def gone(self, fingerprints: Iterable[str], at: float) -> None:
        """Record the clients that were removed from the store by hand."""
        self._take_out(fingerprints, None, at)

    def _take_out(self, fingerprints: Iterable[str], uid: int | None, at: float) -> None:
        """If the file can't be written this raises OSError, and the events stay in memory, to be
        written with the next: a known removal must not look like damage."""
        events = {
            each: {"event": "removed", "fingerprint": each, "at": at, "uid": uid}
            for each in fingerprints
        }
        for each in events:
            self._seen.forget(each)
        try:
            self._append(events.values())
        except OSError as error:
            if error.errno in NO_ROOM and self._overwrite(events):
                return
            with self._reading:
                self._unwritten |= events
                for each, event in events.items():
                    self._apply(each, event)
            raise

    def restore(self, records: Iterable[ClientRecord]) -> None:
        """Take removals back that did not happen."""
        written = [each for each in records if not self._unwritten.pop(each.fingerprint, None)]
        with self._reading:
            self._forget()  # the file still has the others
        if written:
            self._append(as_event(each) for each in written)

    def seen(self, fingerprint: str, at: float) -> None:
        """Remembered here; `write_seen` puts it into the file."""
        self._seen.note(fingerprint, at)

    def write_seen(self, everything: bool) -> None:
        """Write what is due, or all that is new; and what there was no room for."""
        due = self._seen.due(everything)
        if due or self._unwritten:
            self._append({"event": "seen", "fingerprint": who, "at": at} for who, at in due)
            self._seen.written(due)

    def compact(self) -> None:
        """Write the file anew when most of its lines, as far as read, are history."""
        if self._read_to is None or self._lines <= 2 * len(self._records) + COMPACT_SLACK:
            return
        self.refresh()
        if not self.problem:
            known = self.known()
            events = (as_event(self._records[each]) for each in self._records if each in known)
            write_atomically(self.path, encode(events), 0o600)
            self.refresh()

    # The file

    def _refresh(self) -> None:
        self.problem = ""
        try:
            self._read()
        except FileNotFoundError:
            self._forget()
        except OSError as error:
            self._forget()
            self.problem = (
                f"{self.path} is ignored, so names and dates of clients are unknown: "
                f"{error.strerror or error}. Remove it, or put it right."
            )
        for fingerprint, event in list(self._unwritten.items()):
            self._apply(fingerprint, event)

    def _forget(self) -> None:
        self._records = {}
        self._removed = set()
        self._holding = {role: set() for role in Role}
        self.unfinished = {}
        self._read_to = None
        self._lines = 0

    def _read(self) -> None:
        descriptor = os.open(self.path, READ_FLAGS)
        try:
            status = checked(descriptor, self._owners)
            if self._read_to is None or not self._continues(status):
                self._forget()
            offset = self._read_to[2] if self._read_to else 0
            os.lseek(descriptor, offset, os.SEEK_SET)
            data = read_descriptor(descriptor, FILE_LIMIT, self.path)
        finally:
            os.close(descriptor)
        whole = data.rfind(b"\n") + 1  # the rest is still being written, or was cut by a crash
        for line in data[:whole].splitlines():
            self._replay(line)
        self._read_to = (status.st_dev, status.st_ino, offset + whole, status.st_mtime_ns)

    def _continues(self, status: os.stat_result) -> bool:
        assert self._read_to is not None
        device, inode, offset, modified = self._read_to
        if (status.st_dev, status.st_ino) != (device, inode) or status.st_size < offset:
            return False
        return status.st_size > offset or status.st_mtime_ns == modified  # else overwritten

    def _replay(self, line: bytes) -> None:
        self._lines += 1
        if event := decode(line):
            self._apply(event["fingerprint"], event)

    def _apply(self, fingerprint: str, event: dict[str, Any]) -> None:
        match event.get("event"):
            case "enrolled":
                record = as_record(fingerprint, event)
                self._records[fingerprint] = record
                self._removed.discard(fingerprint)
                self._note_role(fingerprint, record.role)
                self.unfinished.pop(fingerprint, None)
            case "removed":
                self._records.pop(fingerprint, None)
                self._note_role(fingerprint, None)
                self._removed.add(fingerprint)
                self.unfinished.pop(fingerprint, None)
            case "renewing":
                self._records[fingerprint] = as_record(fingerprint, event)
                self.unfinished[fingerprint] = str(event.get("of"))
            case "seen" if fingerprint in self._records:
                record = self._records[fingerprint]
                self._records[fingerprint] = record._replace(last_seen=moment(event.get("at")))

    def _note_role(self, fingerprint: str, role: Role | None) -> None:
        for each, holding in self._holding.items():
            keep = holding.add if each is role else holding.discard
            keep(fingerprint)

    def _append(self, events: Iterable[dict[str, Any]]) -> None:
        """Raises OSError, and then no half line is left."""
        data = encode([*self._unwritten.values(), *events])
        if data:
            append(self.path, self._owners, data)
            self._unwritten = {}

    def _overwrite(self, events: dict[str, dict[str, Any]]) -> bool:
        """Put removals in the place of the enrolments, which needs no room. False if it fails."""
        with self._reading, suppress(OSError):
            if overwrite(self.path, self._owners, events):
                self._forget()  # the next look reads all of it
                return True
        return False
