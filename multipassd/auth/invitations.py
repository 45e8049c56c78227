"""Invitations: lines that let one client in, once, under a name and with a role.

Of a line only its hash is kept. It is claimed for the certificate that offers it before that is
trusted, and forgotten afterwards: a kill in between leaves it to that certificate alone, which can
offer it again. The caller holds the lock of enrolments: of two who offer it at once one is first.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Container
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from multipassd.system.files import read_regular, write_atomically
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
BACK = 300.0  # seconds that a clock may be set back, as by NTP, without making a line invalid


class NotInvited(RpcError):
    """The request for an invitation can't be met."""

    status = Status.INVALID_ARGUMENT


class NoAdminYet(RpcError):
    """Before the first client only administrators may connect, so no line would be of use."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "No invitation can be used yet: until a first client is trusted, only root and the "
        "admin group may connect.\nBecome that client with 'multipass authenticate' as root, or "
        "with any command."
    )


class NoClient(RpcError):
    """Nothing has that name or fingerprint."""

    status = Status.NOT_FOUND

    def __init__(self, who: str) -> None:
        super().__init__(
            f"No client and no invitation has the name, or exactly one the fingerprint, '{who}'.\n"
            "'multipass clients' lists them; of a fingerprint at least 4 digits are needed."
        )


class Invited(NamedTuple):
    """The line to pass on, the role that it gives, and until when it is good."""

    line: str
    role: Role
    expires: float


class InvitationRefused(RpcError):
    """The line lets no client in."""

    status = Status.INVALID_ARGUMENT


@dataclass(frozen=True)
class Invitation:
    """Times in seconds since the epoch; `claimed` is the fingerprint that has offered the line."""

    id: str
    digest: str
    name: str
    role: str
    by: str
    made: float
    expires: float
    claimed: str = ""

    def waits(self, now: float) -> bool:
        """Not where the clock is before it was made, either: then it may be expired as well."""
        return self.made - BACK <= now < self.expires


class Invitations:
    """Those that wait, in a file. Every change is durable on return; raises StorageFailed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self, name: str, role: Role, seconds: int, by: str, now: float) -> tuple[str, float]:
        """The line to pass on, and until when it is good."""
        line = invitation_line.make(secrets.token_bytes(SECRET_BYTES))
        digest, expires = _digest(invitation_line.secret_of(line)), now + seconds
        made = Invitation(secrets.token_hex(4), digest, name, str(role), by, now, expires)
        waiting = self.waiting(now)
        if len(waiting) >= MOST:
            raise StorageFailed(
                f"There are {MOST} invitations that wait already. `multipass clients` lists them; "
                "`multipass revoke NAME` takes those of a name back."
            )
        self._write([*waiting, made])
        return line, expires

    def waiting(self, now: float) -> list[Invitation]:
        """Those that can still be used, in the order in which they were made."""
        return [each for each in self._read() if each.waits(now)]

    def find(self, line: str, fingerprint: str, now: float) -> Invitation:
        """Raises InvitationRefused."""
        try:
            digest = _digest(invitation_line.secret_of(line))
        except BadLine:
            raise InvitationRefused(
                "This is not the whole invitation: copy the line again, from its beginning to its "
                "end."
            ) from None
        for each in self.waiting(now):
            if each.digest == digest and each.claimed in ("", fingerprint):
                return each
        raise InvitationRefused(
            "This invitation was used, has expired, was taken back, or is of another service.\n"
            "Please ask the administrator for a new one."
        )

    def claim(self, invitation: Invitation, fingerprint: str, now: float) -> None:
        """From now on it is good for this certificate alone."""
        self._write(
            [
                replace(each, claimed=fingerprint) if each.id == invitation.id else each
                for each in self.waiting(now)
            ]
        )

    def withdraw(
        self,
        now: float,
        *,
        ids: Container[str] = frozenset(),
        name: str = "",
        claimed: Container[str] = frozenset(),
    ) -> int:
        """How many were taken back: with these ids, of this name, claimed by these certificates."""
        waiting = self._read()
        kept = [
            each
            for each in waiting
            if each.id not in ids and each.name != name and each.claimed not in claimed
        ]
        if len(kept) != len(waiting):
            self._write([each for each in kept if each.waits(now)])
        return sum(each.waits(now) for each in waiting if each not in kept)

    def forget_expired(self, now: float) -> None:
        """So that a clock which is set back later does not make them good again."""
        if any(now >= each.expires for each in self._read()):
            self._write(self.waiting(now))

    def _read(self) -> list[Invitation]:
        try:
            entries = json.loads(read_regular(self.path, FILE_LIMIT))["invitations"]
            return [_checked(Invitation(**entry)) for entry in entries]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise StorageFailed(
                f"Invitations can't be used, as {self.path} can't be read: {error}. Remove that "
                "file, which takes all of them back, and make new ones."
            ) from error

    def _write(self, invitations: list[Invitation]) -> None:
        data = json.dumps({"invitations": [asdict(each) for each in invitations]}, indent=1)
        try:
            write_atomically(self.path, data.encode(), 0o600)
        except OSError as error:
            raise StorageFailed(
                f"Nothing was changed, as {self.path} can't be written: {error.strerror or error}."
            ) from error


def _checked(invitation: Invitation) -> Invitation:
    texts = (invitation.id, invitation.digest, invitation.name, invitation.role, invitation.by)
    moments = (invitation.made, invitation.expires)
    if not all(isinstance(each, str) for each in (*texts, invitation.claimed)):
        raise ValueError("an entry is not as it should be")
    if not all(isinstance(each, int | float) for each in moments):
        raise ValueError("a time is no number")
    return invitation


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
