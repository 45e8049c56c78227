"""`multipass.Trust`: the trusted clients, their roles, and invitations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from multipassd.auth.inviting import ONLY_ADMINS, Wish, for_service
from multipassd.certificates import certificate_checks
from multipassd.instances.owners import quotas
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.lock import LastAdmin
from multipassd.trust.state import FirstClient
from multipassd.trust.store import TrustStore
from protocol.errors import RpcError, StorageFailed
from protocol.messages.trust import (
    ClientsReply,
    ClientsRequest,
    GrantReply,
    GrantRequest,
    Invitation,
    InviteReply,
    InviteRequest,
    Quota,
    RemoveReply,
    RemoveRequest,
    RenewReply,
    RenewRequest,
    RevokeReply,
    RevokeRequest,
    RootsReply,
    RootsRequest,
    Share,
    TrustedClient,
)
from protocol.pem import fingerprint
from protocol.quotas import read_key, show
from protocol.roles import NAMES, Role, parse
from protocol.status import Status

SHOWN = 8  # names of instances in a sentence
A_DAY = 24 * 3600


class NoSuchRole(RpcError):
    """The role is none of those that there are."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no role '{name}'. Roles are: {', '.join(sorted(NAMES))}.")


class WouldLeaveNoAdmin(RpcError):
    """The last admin was to be revoked or given a lesser role."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "This is the last admin, so nothing was changed. With '--force' it is done all the same:\n"
        "the next client from root or the admin group then becomes the first admin."
    )
    where_none_is_adopted = (
        "This is the last admin, so nothing was changed. With '--force' it is done all the same:\n"
        "root alone can let clients in then."
    )

    def __init__(self, daemon: Daemon) -> None:
        adopts = daemon.settings.first_client() is FirstClient.ADMIN
        super().__init__(None if adopts else self.where_none_is_adopted)


async def clients(call: Call[ClientsRequest], daemon: Daemon) -> None:
    """List the trusted clients, since when and how, and the invitations that wait."""
    ends = await asyncio.to_thread(_ends, daemon.store)
    records = daemon.store.records()
    clients = [
        TrustedClient(
            fingerprint=record.fingerprint,
            name=record.name,
            how=record.how,
            uid=record.uid,
            enrolled_at=int(record.enrolled_at or 0),
            last_seen=int(record.last_seen or 0),
            role=str(record.role),
            expires=ends.get(record.fingerprint, 0),
        )
        for record in records
    ]
    damage = list(daemon.store.damaged_roles().values())
    try:
        invited = await daemon.enrolment.invitations()
    except StorageFailed as error:
        invited, damage = [], [*damage, error.message]
    waiting = [
        Invitation(
            name=each.name,
            role=each.role,
            invited_by=each.by,
            made_at=int(each.made),
            expires=int(each.expires),
        )
        for each in invited
    ]
    state = daemon.store.state.name.lower()
    call.reply(
        ClientsReply(
            clients=clients,
            state=state,
            invitations=waiting,
            former_key=daemon.guest_access.pending(),
            quotas=_quotas(records, daemon),
            damage=damage,
        )
    )


def _quotas(records: Iterable[ClientRecord], daemon: Daemon) -> list[Quota]:
    """What each person with a limit has and may have, if it has anything or the limit is its own:
    the reply has room for 10,000 clients. None where the settings can't be read: `clients` is what
    an administrator needs most then."""
    if daemon.settings.problem:
        return []
    found, limits = [], daemon.settings.quotas()
    roles: dict[str, Role] = {}  # the least of each person's certificates
    for each in records:
        roles[each.name] = min(roles.get(each.name, Role.ADMIN), each.role or Role.VIEWER)
    own = {key.who for text in limits if (key := read_key(text))}
    for name, role in sorted(roles.items()):
        allowed = quotas.limits_of(name, role, limits) if role is not Role.VIEWER else {}
        used = daemon.instances.claims.used(name)._asdict()
        if not any(used.values()) and name not in own:
            continue
        shares = [
            Share(kind=kind, used=show(kind, used[kind]), limit=show(kind, limit))
            for kind, limit in allowed.items()
        ]
        if shares:
            found.append(Quota(name=name, shares=shares))
    return found


def _ends(store: TrustStore) -> dict[str, int]:
    """When each certificate ends. In a worker thread: 10,000 take half a second."""
    ends = {}
    for der in store.certificates():
        with suppress(ValueError, OverflowError):
            ends[fingerprint(der)] = int(certificate_checks.not_after(der).timestamp())
    return ends


async def remove(call: Call[RemoveRequest], daemon: Daemon) -> None:
    """Remove a trusted client. Takes effect at once, also for its running calls."""
    # A client that removes itself still gets the reply.
    call.outlives_trust = call.request.fingerprint == call.peer.fingerprint
    removed = await daemon.enrolment.remove(call.request.fingerprint, call.peer)
    call.reply(RemoveReply(removed=removed))


async def invite(call: Call[InviteRequest], daemon: Daemon) -> None:
    """Make a line that lets one client in, once."""
    request = call.request
    role = _role(request.role) if request.role else None
    seconds = request.seconds or A_DAY
    wish = Wish(request.name, role, seconds)
    invited = await daemon.enrolment.invite(wish, call.peer, daemon.settings.first_client())
    left = _left_behind(request.name, invited.role, daemon)
    call.reply(
        InviteReply(
            line=for_service(invited.line, daemon.root_certificate),
            role=str(invited.role),
            expires=int(invited.expires),
            tcp_address=daemon.tcp_address,
            note="\n".join(filter(None, (ONLY_ADMINS if invited.closed else "", left))),
        )
    )


def _left_behind(name: str, role: Role, daemon: Daemon) -> str:
    """What a user who is let in under a name has at once: a sentence, or empty."""
    owned = [each.name for each in daemon.instances.owned_by(name)] if role is Role.USER else []
    if not owned:
        return ""
    some = ", ".join(owned[:SHOWN]) + (", …" if len(owned) > SHOWN else "")
    return f"Instances that belong to '{name}' already: {some}."


async def roots(call: Call[RootsRequest], daemon: Daemon) -> None:
    """What verifies this service. A client that was given its hash asks before it sends more."""
    call.reply(RootsReply(certificates=daemon.root_certificate.decode("ascii", "replace")))


async def grant(call: Call[GrantRequest], daemon: Daemon) -> None:
    """Give all clients of a person another role."""
    request, role = call.request, _role(call.request.role)
    call.outlives_trust = True  # a client that changes its own role still gets the reply
    try:
        changed = await daemon.enrolment.grant(request.who, role, call.peer, request.force)
    except LastAdmin:
        raise WouldLeaveNoAdmin(daemon) from None
    call.reply(GrantReply(changed=changed))


async def renew(call: Call[RenewRequest], daemon: Daemon) -> None:
    """Put a renewed certificate in the place of the caller's."""
    daemon.enrolment.renewal.check(call.peer, call.request.certificate)
    new = fingerprint(call.request.certificate)
    await daemon.guest_access.note_renewal(call.peer.fingerprint, new)
    await daemon.enrolment.renew(call.peer, call.request.certificate)
    call.reply(RenewReply())


async def revoke(call: Call[RevokeRequest], daemon: Daemon) -> None:
    """Trust no client of a person any longer, and take the person's invitations back."""
    request = call.request
    call.outlives_trust = True
    try:
        removed, void = await daemon.enrolment.revoke(request.who, call.peer, request.force)
    except LastAdmin:
        raise WouldLeaveNoAdmin(daemon) from None
    call.reply(RevokeReply(removed=removed, invitations=void))


def _role(name: str) -> Role:
    """Raises NoSuchRole."""
    role = parse(name)
    if role is None:
        raise NoSuchRole(name)
    return role
