"""What an invitation may promise, and whom a name means, by what the trust store holds.

Used by the daemon and by multipass-trust, which may be at work at the same time: each change of the
invitations' file takes the store's lock.
"""

from __future__ import annotations

from typing import NamedTuple

from multipassd.auth import gate
from multipassd.auth.invitations import LONGEST, SHORTEST, Invitation, Invitations
from multipassd.system import log
from multipassd.trust import names
from multipassd.trust.state import FirstClient, TrustState
from multipassd.trust.store import TrustStore
from protocol.certificate_check import CertificateError
from protocol.errors import RpcError, StorageFailed, StoreDamaged
from protocol.invitation_line import with_pin
from protocol.roles import Role
from protocol.status import Status

ONLY_ADMINS = (
    "Until a first client is trusted, only root and the admin group of the service's machine can "
    "connect."
)


_log = log.get("invitations")


class NotInvited(RpcError):
    """The request for an invitation can't be met."""

    status = Status.INVALID_ARGUMENT


class FirstMustBeAdmin(RpcError):
    """Before the first admin others may not connect, so a lesser role would be of no use."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "There is no admin yet, and until there is one only root and the admin group may connect.\n"
        "Invite the first one with '--role admin'."
    )


class NoClient(RpcError):
    """Nothing has that name or fingerprint."""

    status = Status.NOT_FOUND

    def __init__(self, who: str) -> None:
        super().__init__(
            f"No client and no invitation has the name {who!r}, and no fingerprint begins so.\n"
            "'multipass clients' lists them; of a fingerprint at least 4 digits are needed."
        )


class InDoubt(RpcError):
    """More than one person's clients could be meant."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, doubt: names.Ambiguous) -> None:
        super().__init__(f"{doubt.sentence}, so nothing was changed:\n{doubt.candidates}")


class Invited(NamedTuple):
    """The line to pass on, the role that it gives, and until when it is good. `closed`: until the
    first client is trusted, only root and the admin group can connect to use it."""

    line: str
    role: Role
    expires: float
    closed: bool = False


class Wish(NamedTuple):
    """What was asked for; without a role that of the name's clients, else a viewer's."""

    name: str
    role: Role | None
    seconds: int


def invite(
    store: TrustStore,
    invitations: Invitations,
    wish: Wish,
    by: str,
    now: float,
    first: FirstClient,
) -> Invited:
    """Raises NotInvited, FirstMustBeAdmin, StoreDamaged, StorageFailed."""
    if wrong := names.complaint(wish.name):
        raise NotInvited(wrong)
    if not SHORTEST <= wish.seconds <= LONGEST:
        raise NotInvited("An invitation is good for a time between 1 minute and 30 days.")
    if store.state is TrustState.DAMAGED:
        raise StoreDamaged(gate.DAMAGED_SENTENCE)
    has = store.role_of_person(wish.name)
    if has is not None and wish.role not in (None, has):
        raise NotInvited(f"'{wish.name}' is {has} already; 'multipass grant' changes that.")
    role = wish.role or has or Role.VIEWER
    open_to_all = gate.open_to_all(store.state, first)
    if role is not Role.ADMIN and not open_to_all:
        raise FirstMustBeAdmin()
    line, expires = invitations.make(wish.name, role, wish.seconds, by, now)
    return Invited(line, role, expires, closed=not open_to_all)


def for_service(line: str, root: bytes) -> str:
    """The line with the hash of the key of the service's root certificate (PEM), by which a client
    over TCP knows the service."""
    from protocol import certificates

    try:
        return with_pin(line, certificates.public_keys(root)[0][1])
    except (CertificateError, IndexError):  # over a Unix socket it works without
        return line


def meant(store: TrustStore, who: str) -> list[str]:
    """The certificates of the person with this name, or the one whose fingerprint begins so; empty
    if there are none. Raises InDoubt."""
    try:
        return names.choose(store.records(), who)
    except names.Ambiguous as doubt:
        raise InDoubt(doubt) from None


def offered(invitations: Invitations, line: str, who: str, now: float) -> Invitation:
    """The invitation of a line that a client offers, which may be a stranger: no path of root's is
    named to it. Raises InvitationRefused, StorageFailed."""
    try:
        return invitations.find(line, who, now)
    except StorageFailed as error:
        _log.warning("%s", error.message)
        raise StorageFailed(
            "Invitations can't be used now; the journal of the service says why.\n"
            "Please tell its administrator."
        ) from None


class Revocable(NamedTuple):
    """What a revocation takes back: certificates and invitations. `problem`: why the invitations
    could not be looked at or changed, which keeps no client trusted."""

    clients: list[str]
    invitations: list[Invitation]
    problem: str = ""


def revocable(store: TrustStore, invitations: Invitations, who: str, now: float) -> Revocable:
    """Raises InDoubt."""
    found, problem = set(meant(store, who)), _hidden(store, who)
    try:
        waiting = invitations.waiting(now)
    except StorageFailed as error:
        waiting, problem = [], f"{problem} {error.message}".lstrip()
    # One that has claimed an invitation may be trusted before its name is on record.
    claimed = {each.claimed for each in waiting if each.name == who}
    found |= claimed & store.fingerprints()
    of_it = [each for each in waiting if each.name == who or each.claimed in found]
    return Revocable(sorted(found), of_it, problem)


def _hidden(store: TrustStore, who: str) -> str:
    """A sentence on clients that this would take back, were their file not damaged; or empty."""
    try:
        hidden = names.choose(store.hidden(), who)
    except names.Ambiguous:
        hidden = [who]
    if not hidden:
        return ""
    count = f"{len(hidden)} client{'' if len(hidden) == 1 else 's'}"
    return (
        f"{count} of '{who}' can't be changed now: the file of their role is damaged, so they are "
        "not let in, and will be once it is repaired. Please repair it with "
        "'sudo multipass-trust check --repair', then try again."
    )


def none_found(store: TrustStore, who: str) -> RpcError:
    """Why there is no client of this name or fingerprint to change."""
    hidden = _hidden(store, who)
    return StorageFailed(hidden) if hidden else NoClient(who)


def take_back(store: TrustStore, invitations: Invitations, who: str, now: float) -> Revocable:
    """Take the invitations back; the certificates are left to the caller, who removes them next:
    else one of them could be let in again. Raises NoClient, InDoubt, StorageFailed."""
    found = revocable(store, invitations, who, now)
    try:
        gone = invitations.withdraw(now, name=who, claimed=set(found.clients))
    except StorageFailed as error:
        if not found.clients:
            raise
        return Revocable(found.clients, [], f"Invitations were not taken back. {error.message}")
    if not found.clients and not gone:
        raise StorageFailed(found.problem) if found.problem else NoClient(who)
    store.refresh()  # one of them was perhaps let in at this moment
    late = {each.claimed for each in gone} & store.fingerprints()
    return Revocable(sorted({*found.clients, *late}), gone, found.problem)
