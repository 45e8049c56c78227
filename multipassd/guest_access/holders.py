"""Which clients were let into guests: noted durably before they are, so that their access can be
ended, also by a later daemon. One JSON object a line, appended.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.system import log
from multipassd.system.files import READ_FLAGS, read_descriptor, write_atomically
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.event_file import append, checked, encode
from protocol.errors import StorageFailed

FILE = "guest-access.jsonl"
MODE = 0o600
MOST = 100_000  # clients, as in the trust store; those who are gone are taken out
MOST_UIDS = 16  # of one client: the Unix users that it was seen to call as
FILE_LIMIT = 64 << 20  # bytes: a line has 130, and each client some lines until the next start
SLACK = 1000  # spare lines before the file is written anew
FINGERPRINT = re.compile(r"[0-9a-f]{64}")

_log = log.get("access")


class Holder(NamedTuple):
    """What one client has of access to guests."""

    uids: frozenset[int] = frozenset()  # of this host; none over TCP
    key: str | None = None  # name of the latest shared key that it was given; None: never one
    renewed_by: str = ""  # fingerprint of the certificate that was to take this one's place


class Holders:
    """The clients that were given the shared SSH key, or a certificate."""

    def __init__(self, path: Path, key: ServiceKey) -> None:
        self.path = path
        self._key = key
        self._owners = frozenset({0, os.geteuid()})
        self._known: dict[str, Holder] = {}
        self._lines = 0
        self._lock = threading.Lock()  # each call notes in a thread of its own

    def load(self, trusted: Iterable[ClientRecord]) -> None:
        """`trusted`: where the file is lost, or an earlier release kept none, all of them may hold
        the key. Never fails."""
        try:
            self._read()
        except FileNotFoundError:
            self._begin(trusted)
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s is made anew, as it can't be read: %s", self.path, error)
            self._begin(trusted)
        if self._lines > 2 * len(self._known) + SLACK:
            self._rewrite()

    def get(self, fingerprint: str) -> Holder:
        return self._known.get(fingerprint, Holder())

    def any(self) -> bool:
        """Was a client let in whose access has not ended?"""
        return bool(self._known)

    def __iter__(self) -> Iterator[tuple[str, Holder]]:
        return iter(list(self._known.items()))

    def has(self, fingerprint: str, uid: int | None, key: str | None) -> bool:
        """Is that on record, so that `note` has nothing to do?"""
        known = self._known.get(fingerprint)
        if known is None or key not in (None, known.key):
            return False
        return uid is None or uid in known.uids

    def note(self, fingerprint: str, uid: int | None, key: str | None = None) -> None:
        """The client is about to be given the shared key of this name, or (None) a certificate.
        Durable on return; nothing to do where it is on record. Raises StorageFailed."""
        with self._lock:
            before = self._known.get(fingerprint, Holder())
            uids = before.uids if uid is None else before.uids | {uid}
            key = before.key if key is None else key
            self._note(fingerprint, before._replace(uids=uids, key=key))

    def note_renewal(self, old: str, new: str) -> None:
        """The client of the old certificate is about to have a new one: it does not go when that
        is trusted in the old one's place. As durable as `note`. Raises StorageFailed."""
        with self._lock:
            if before := self._known.get(old):
                self._note(old, before._replace(renewed_by=new))

    def _note(self, fingerprint: str, after: Holder) -> None:
        if self._known.get(fingerprint) == after:
            return
        uids = after.uids
        if len(uids) > MOST_UIDS or (len(self._known) >= MOST and fingerprint not in self._known):
            raise StorageFailed(
                f"No access to instances is given, as {self.path} would have too many entries: "
                f"more than {MOST} clients, or {MOST_UIDS} users of one."
            )
        try:
            append(self.path, self._owners, encode([_line(fingerprint, after)]))
        except OSError as error:
            raise StorageFailed(
                f"No access to instances is given, as {self.path}, which lists who has it, can't "
                f"be written: {error.strerror or error}."
            ) from None
        self._lines += 1
        self._known[fingerprint] = after

    def forget(self, fingerprints: Iterable[str]) -> None:
        """Their access has ended. Where the file can't be written, a later daemon ends it again.
        Never fails."""
        try:
            with self._lock:
                gone = [each for each in fingerprints if self._known.pop(each, None)]
                if gone:
                    append(self.path, self._owners, encode({"gone": each} for each in gone))
                    self._lines += len(gone)
        except OSError as error:
            _log.warning("%s can't be written: %s", self.path, error.strerror or error)

    def _read(self) -> None:
        descriptor = os.open(self.path, READ_FLAGS)
        try:
            checked(descriptor, self._owners)
            data = read_descriptor(descriptor, FILE_LIMIT, self.path)
        finally:
            os.close(descriptor)
        whole = data.rfind(b"\n") + 1
        lines = data[:whole].splitlines()
        known: dict[str, Holder] = {}
        for line in filter(None, lines):
            event = json.loads(line)
            if gone := event.get("gone"):
                known.pop(gone, None)
            else:
                fingerprint, holder = _holder(event)
                known[fingerprint] = holder
        self._known, self._lines = known, len(lines)
        if whole < len(data):  # cut off by a crash, before anything was given
            self._rewrite()

    def _begin(self, trusted: Iterable[ClientRecord]) -> None:
        """With a file, also where it is empty: the next start is to know that there was one."""
        self._known = {}
        try:
            if self._key.exists:
                name = self._key.name
                for each in trusted:
                    uids = frozenset() if each.uid is None else frozenset({each.uid})
                    self._known[each.fingerprint] = Holder(uids, name)
        except StorageFailed as error:
            _log.warning("%s", error.message)
        self._rewrite()

    def _rewrite(self) -> None:
        try:
            lines = encode(_line(who, holder) for who, holder in self._known.items())
            write_atomically(self.path, lines, MODE)
            self._lines = len(self._known)
        except OSError as error:
            _log.warning("%s can't be written: %s", self.path, error.strerror or error)


def _line(fingerprint: str, holder: Holder) -> dict[str, Any]:
    entry = {"fingerprint": fingerprint, "uids": sorted(holder.uids), "key": holder.key}
    return entry | ({"renewed_by": holder.renewed_by} if holder.renewed_by else {})


def _holder(event: dict[str, Any]) -> tuple[str, Holder]:
    """Raises ValueError, KeyError, TypeError."""
    fingerprint, uids, key = event["fingerprint"], event["uids"], event["key"]
    if not FINGERPRINT.fullmatch(fingerprint) or not (key is None or isinstance(key, str)):
        raise ValueError("a line has no client")
    renewed_by = str(event.get("renewed_by", ""))
    return fingerprint, Holder(frozenset(int(uid) for uid in uids), key, renewed_by)
