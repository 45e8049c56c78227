"""Invitations: lines that let one client in, once, under a name and with a role.

Of a line only its hash is kept. It is claimed for the certificate that offers it before that is
trusted, and forgotten afterwards: a kill in between leaves it to that certificate alone, which can
offer it again. The caller holds the lock of enrolments: of two who offer it at once one is first.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from math import inf, isfinite
from pathlib import Path
from typing import NamedTuple

from multipassd.system import file_lock, log
from multipassd.system.files import READ_FLAGS, read_descriptor, write_atomically
from multipassd.trust.event_file import checked
from multipassd.trust.lock import LOCK_NAME, LOCK_PATIENCE
from protocol import invitation_line
from protocol.errors import RpcError, StorageFailed
from protocol.invitation_line import BadLine
from protocol.roles import Role
from protocol.status import Status

SECRET_BYTES = 16  # 128 bits: no guess is right, so none has to be counted
MOST = 1000  # that wait at once: a class of students; the file stays one of 300 KB
LONGEST = 30 * 24 * 3600  # seconds; a line that is kept in a mailbox must not work a year later
SHORTEST = 60
FILE_LIMIT = 1 << 20
LOOK_SECONDS = 60.0  # between two looks for those that have expired
VOID = (
    "This invitation was used, has expired, was taken back, or is of another service.\n"
    "Please ask the administrator for a new one."
)
TOO_EARLY = (
    "The service's clock is before the time at which this invitation was made, so it can't be used "
    "now.\nPlease ask the administrator to put the clock right."
)
BACK = 300.0  # seconds that a clock may be set back, as by NTP, without making a line invalid

_log = log.get("invitations")


class InvitationRefused(RpcError):
    """The line lets no client in."""

    status = Status.INVALID_ARGUMENT


class Invitation(NamedTuple):
    """Times in seconds since the epoch; `claimed` is the fingerprint that has offered the line."""

    id: str
    digest: str
    name: str
    role: str
    by: str
    made: float
    expires: float
    claimed: str = ""

    def expired(self, now: float) -> bool:
        return now >= self.expires

    def early(self, now: float) -> bool:
        """Is the clock before it was made? Then there is no telling whether it has expired."""
        return now < self.made - BACK


class Invitations:
    """Those that wait, in a file. Every change is durable on return, and holds the lock of the
    trust store beside it; raises StorageFailed. Times are seconds since the epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next_look = -inf  # monotonic: other processes may make some
        self._soonest = inf  # when the first of those that are known expires

    def make(self, name: str, role: Role, seconds: int, by: str, now: float) -> tuple[str, float]:
        """The line to pass on, and until when it is good."""
        line = invitation_line.make(os.urandom(SECRET_BYTES))
        digest, expires = _digest(invitation_line.secret_of(line)), now + seconds
        made = Invitation(os.urandom(4).hex(), digest, name, str(role), by, now, expires)
        with self._changing():
            found = self._read()
            if sum(not each.expired(now) for each in found) >= MOST:
                raise StorageFailed(
                    f"There are {MOST} invitations that wait already. `multipass clients` lists "
                    "them; `multipass revoke NAME` takes those of a name back."
                )
            self._write([*found, made], now)
        self._soonest = min(self._soonest, expires)
        return line, expires

    def waiting(self, now: float) -> list[Invitation]:
        """Those that have not expired, in the order in which they were made."""
        return [each for each in self._read() if not each.expired(now)]

    def find(self, line: str, fingerprint: str, now: float) -> Invitation:
        """Raises InvitationRefused."""
        try:
            digest = _digest(invitation_line.secret_of(line))
        except BadLine:
            raise InvitationRefused(
                "This is not the whole invitation: copy the line again, from its beginning to its "
                "end."
            ) from None
        for each in self._read():
            if each.digest == digest and each.claimed in ("", fingerprint):
                if each.expired(now):
                    self.forget_expired(now)  # it was refused: no other clock makes it good again
                    break
                if each.early(now):
                    raise InvitationRefused(TOO_EARLY)
                return each
        raise InvitationRefused(VOID)

    def claim(self, invitation: Invitation, fingerprint: str, now: float) -> None:
        """From now on it is good for this certificate alone. Raises InvitationRefused where another
        process was faster."""
        with self._changing():
            found = self._read()
            at = next((i for i, each in enumerate(found) if each.id == invitation.id), None)
            if at is None or found[at].claimed not in ("", fingerprint):
                raise InvitationRefused(VOID)
            found[at] = found[at]._replace(claimed=fingerprint)
            self._write(found, now)

    def is_claimed(self, invitation: Invitation, fingerprint: str) -> bool:
        """Is it still there for this certificate? For the holder of the store's lock."""
        return any(
            each.id == invitation.id and each.claimed == fingerprint for each in self._read()
        )

    def withdraw(
        self,
        now: float,
        *,
        ids: Container[str] = frozenset(),
        name: str = "",
        claimed: Container[str] = frozenset(),
    ) -> list[Invitation]:
        """Those taken back: with these ids, of this name, claimed by these certificates."""
        with self._changing():
            found = self._read()
            gone = [
                each
                for each in found
                if each.id in ids or each.name == name or each.claimed in claimed
            ]
            if gone:
                self._write([each for each in found if each not in gone], now)
        return [each for each in gone if not each.expired(now)]

    def due(self, now: float) -> bool:
        """Is it time for `forget_expired`?"""
        return time.monotonic() >= self._next_look or now >= self._soonest

    def forget_expired(self, now: float) -> None:
        """So that a clock which is set back later does not make them good again."""
        self._next_look, self._soonest = time.monotonic() + LOOK_SECONDS, inf
        found = self._read()
        if any(each.expired(now) for each in found):
            with self._changing():
                found = self._read()
                self._write(found, now)
        self._soonest = min((each.expires for each in found if not each.expired(now)), default=inf)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            with file_lock.hold(self.path.with_name(LOCK_NAME), LOCK_PATIENCE):
                yield
        except OSError as error:
            raise StorageFailed(
                f"Nothing was changed, as {self.path} can't be written: {error.strerror or error}."
            ) from error

    def _read(self) -> list[Invitation]:
        try:
            entries = json.loads(self._text())["invitations"]
            return [_checked(Invitation(**entry)) for entry in entries]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise StorageFailed(
                f"Invitations can't be used, as {self.path} can't be read: {error}. Remove that "
                "file, which takes all of them back, and make new ones."
            ) from error

    def _text(self) -> bytes:
        """Raises OSError, also where others than root and the store's owner could have written."""
        descriptor = os.open(self.path, READ_FLAGS)
        try:
            checked(descriptor, frozenset({0, os.geteuid(), self.path.parent.stat().st_uid}))
            return read_descriptor(descriptor, FILE_LIMIT, self.path)
        finally:
            os.close(descriptor)

    def _write(self, invitations: list[Invitation], now: float) -> None:
        """All but those that have expired. The log names these: it may be the clock that is
        wrong. Raises OSError."""
        kept = [each for each in invitations if not each.expired(now)]
        data = json.dumps({"invitations": [each._asdict() for each in kept]}, indent=1)
        write_atomically(self.path, data.encode(), 0o600)
        for each in invitations:
            if each.expired(now):
                _log.info(
                    "the invitation of %s, made %s and good until %s, has expired: the clock says "
                    "%s", each.name, _shown(each.made), _shown(each.expires), _shown(now),
                )  # fmt: skip


def _shown(moment: float) -> str:
    """UTC; the file may come from elsewhere."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    except (OverflowError, ValueError, OSError):
        return "an unknown time"


def _checked(invitation: Invitation) -> Invitation:
    texts = (invitation.id, invitation.digest, invitation.name, invitation.role, invitation.by)
    moments = (invitation.made, invitation.expires)
    if not all(isinstance(each, str) for each in (*texts, invitation.claimed)):
        raise ValueError("an entry is not as it should be")
    if not all(isinstance(each, int | float) and isfinite(each) for each in moments):
        raise ValueError("a time is no number")  # with others one would never expire
    return invitation


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
