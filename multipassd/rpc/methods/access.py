"""Calls that let a client in, or say whether the service is there."""

from __future__ import annotations

import asyncio
import os
import time

from multipassd.auth import gate
from multipassd.auth.invitations import InvitationRefused
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.transport.quota import limits
from multipassd.trust.state import TrustState
from protocol.errors import (
    CertificateExpired,
    InvalidCertificate,
    NotAuthenticated,
    PassphraseNotSet,
    RpcError,
    StoreDamaged,
    WrongPassphrase,
)
from protocol.invitation_line import is_line
from protocol.messages.access import (
    AuthenticateRequest,
    DaemonInfoReply,
    DaemonInfoRequest,
    PingReply,
    PingRequest,
    VersionReply,
    VersionRequest,
    WaitReadyReply,
    WaitReadyRequest,
)
from protocol.settings import PASSPHRASE
from protocol.version import VERSION


async def authenticate(call: Call[AuthenticateRequest], daemon: Daemon) -> None:
    """Enrol the caller who knows the passphrase or has an invitation, and root who needs none."""
    try:
        await _authenticate(call, daemon)
    except RpcError as error:
        daemon.audit.denied(call.actor, _reason(error))
        raise


async def _authenticate(call: Call[AuthenticateRequest], daemon: Daemon) -> None:
    if daemon.store.state is TrustState.DAMAGED:
        raise StoreDamaged(gate.DAMAGED_SENTENCE)
    if call.standing.expired:
        raise CertificateExpired(call.peer.ends)
    if call.standing.root and not call.request.passphrase:
        _require_certificate(call)
        await daemon.enrolment.enrol_root(call.peer)
        return
    if is_line(call.request.passphrase):  # 128 random bits need no limit of guesses
        _require_certificate(call)
        await daemon.enrolment.redeem(call.peer, call.request.passphrase)
        return
    daemon.settings.require(PASSPHRASE)
    role = daemon.settings.passphrase_role()
    record = daemon.settings.passphrase_record()
    if not record:
        raise PassphraseNotSet()
    if not await _guess(call, daemon, record):
        raise WrongPassphrase() if call.peer.certificate else NotAuthenticated()
    _require_certificate(call)
    await daemon.enrolment.enrol(call.peer, "passphrase", role)


def _reason(error: RpcError) -> str:
    """Of few kinds, as each kind is a record."""
    if isinstance(error, InvitationRefused):
        return "invitation refused"
    if isinstance(error, WrongPassphrase | NotAuthenticated):
        return "wrong passphrase"
    return f"authentication failed ({error.status.name.lower()})"


async def _guess(call: Call[AuthenticateRequest], daemon: Daemon, record: str) -> bool:
    """Is it right? Waits as long as earlier wrong ones of the same person have earned."""
    who, privileged = call.person, call.standing.privileged
    wait = daemon.guesses.admit(who, privileged, time.time())
    right = False
    try:
        if wait:
            await asyncio.sleep(wait)
        if len(call.request.passphrase.encode()) <= limits.PASSPHRASE:
            given = call.request.passphrase
            right = await daemon.verifier.verify(given, record, privileged)
    finally:  # hanging up does not make a guess undone
        note = daemon.guesses.succeeded if right else daemon.guesses.failed
        note(who, time.time())
    return right


def _require_certificate(call: Call[AuthenticateRequest]) -> None:
    if not call.peer.certificate:
        raise InvalidCertificate()


async def ping(call: Call[PingRequest], daemon: Daemon) -> None:
    """Is the caller trusted? The gate has answered by the time this runs."""
    call.reply(PingReply())


async def version(call: Call[VersionRequest], daemon: Daemon) -> None:
    """The daemon's."""
    call.reply(VersionReply(version=VERSION))


async def wait_ready(call: Call[WaitReadyRequest], daemon: Daemon) -> None:
    """Answered as soon as calls are served at all, to everybody who may connect."""
    call.reply(WaitReadyReply())


async def daemon_info(call: Call[DaemonInfoRequest], daemon: Daemon) -> None:
    """What the host has to give: disk space for instances, processors, memory."""
    disk = os.statvfs(daemon.data_directory)
    call.reply(
        DaemonInfoReply(
            available_space=disk.f_bavail * disk.f_frsize,
            cpus=os.cpu_count() or 1,
            memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        )
    )
