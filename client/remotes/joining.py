"""Become a client of a service on another machine, and keep how to know it again."""

from __future__ import annotations

import time

from client import remote_messages, rpc
from client.errors import CommandFailed, Status, StatusError, UsageError
from client.remotes import pinning, store, table
from client.remotes.table import Remote, Remotes
from client.session import IF_PRESENT, Session
from client.terminal import prompts
from protocol.addresses import TcpAddress
from protocol.messages.access import AuthenticateReply, AuthenticateRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.server import Server


def authenticate(session: Session, line: str) -> None:
    """Use the line at the session's server, which must be the one that it was made at. Raises
    UsageError, CommandFailed."""
    server = pinning.identified(session.server(), line)
    session.talk_to(server)
    _spend(session, server, line, "")


def join(session: Session, server: Server, line: str, name: str) -> bool:
    """Keep a server under a name; whether a line was used: a client that is trusted there already
    needs none. Without a `line` one is asked for where it is needed. Raises UsageError,
    CommandFailed."""
    if line or server.roots.load() is None or not _is_trusted(session, server):
        line = line or prompts.ask_secretly(remote_messages.ENTER_LINE)
        if not line:
            raise UsageError(remote_messages.NO_LINE)
        server = pinning.identified(server, line)
        if not _is_trusted(session, server):
            _spend(session, server, line, name)
            return True
    _keep(session, server, name)
    return False


def _spend(session: Session, server: Server, line: str, name: str) -> None:
    """Keep the server, then send it the line, or a passphrase: a disk that refuses must not cost
    the line. What was kept before is put back if the service refuses it."""
    before = _keep(session, server, name)
    request = AuthenticateRequest(passphrase=line, verbosity_level=session.verbosity)
    try:
        rpc.call(session, "authenticate", request, AuthenticateReply)
    except BaseException:
        _put_back(session, server, before)
        raise


def _keep(session: Session, server: Server, name: str) -> Remote | None:
    """The server's certificates; the name too, if there is one. What was kept for its address
    before is returned. Raises RemotesUnusable, UsageError."""
    assert isinstance(server.address, TcpAddress)
    address, roots = server.address, _certificates(session, server)
    before: list[Remote | None] = []

    def kept(remotes: Remotes) -> None:
        known = remotes.at(address)
        before.append(known)
        if name:
            check_name(remotes, name, address)
        if known is None and len(remotes) >= table.MOST:
            raise UsageError(remote_messages.too_many(table.MOST))
        name_now = name or (known.name if known else "")
        remotes.keep(Remote(table.key(address), name_now, roots, int(time.time())))

    store.change(session.remotes_file(), kept)
    return before[0]


def _put_back(session: Session, server: Server, before: Remote | None) -> None:
    """Raises RemotesUnusable."""
    address = server.address
    assert isinstance(address, TcpAddress)

    def put_back(remotes: Remotes) -> None:
        kept = remotes.at(address)
        if before is not None:
            remotes.keep(before)
        elif kept is not None:
            remotes.forget(kept)

    store.change(session.remotes_file(), put_back)


def check_name(remotes: Remotes, name: str, address: TcpAddress) -> None:
    """Whether a server at that address may get the name. Raises UsageError."""
    if name == table.LOCAL:
        raise UsageError(remote_messages.LOCAL_IS_THIS)
    if not table.is_name(name):
        raise UsageError(remote_messages.BAD_NAME)
    other, known = remotes.named(name), remotes.at(address)
    if other is not None and other is not known:
        raise UsageError(remote_messages.name_taken(other.shown))
    if known is not None and known.name not in ("", name):
        raise UsageError(remote_messages.address_taken(known.shown))


def _is_trusted(session: Session, server: Server) -> bool:
    """Raises Unverified, CommandFailed."""
    session.talk_to(server)
    try:
        rpc.ping(session.channel(IF_PRESENT))
    except StatusError as error:
        if error.status != Status.UNAUTHENTICATED:
            raise
        return False
    return True


def _certificates(session: Session, server: Server) -> str:
    """What the verified server says; what verified it, if it is of a release that says nothing.
    Raises CommandFailed."""
    try:
        text = pinning.roots_over(session.channel(IF_PRESENT))
    except StatusError:
        text = ""
    for each in (text, server.roots.load() or ""):
        if found := pinning.blocks(each):
            return found
    raise CommandFailed(remote_messages.cannot_read_certificates(remote_messages.NO_CERTIFICATES))
