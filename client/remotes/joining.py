"""Become a client of a service on another machine, and keep how to know it again."""

from __future__ import annotations

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
    offer(session, line)
    keep(session, server, "")


def join(session: Session, server: Server, line: str, name: str) -> bool:
    """Keep a server under a name; whether a line was used: a client that is trusted there already
    needs none. Without a `line` one is asked for where it is needed. Raises UsageError,
    CommandFailed."""
    if line or server.roots.load() is None or not _is_trusted(session, server):
        line = line or prompts.ask_secretly(remote_messages.ENTER_LINE)
        if not line:
            raise UsageError(remote_messages.NO_LINE)
        server = pinning.identified(server, line)
        used = not _is_trusted(session, server)
        if used:
            offer(session, line)
    else:
        used = False
    keep(session, server, name)
    return used


def offer(session: Session, line: str) -> None:
    """Send the line, or a passphrase. Raises CommandFailed."""
    request = AuthenticateRequest(passphrase=line, verbosity_level=session.verbosity)
    rpc.call(session, "authenticate", request, AuthenticateReply)


def keep(session: Session, server: Server, name: str) -> None:
    """The server's certificates; the name too, if there is one. Raises RemotesUnusable,
    UsageError."""
    assert isinstance(server.address, TcpAddress)
    address, roots = server.address, _certificates(session, server)

    def kept(remotes: Remotes) -> None:
        known = remotes.at(address)
        if name:
            check_name(remotes, name, address)
        if known is None and len(remotes) >= table.MOST:
            raise UsageError(remote_messages.too_many(table.MOST))
        remotes.keep(Remote(table.key(address), name or (known.name if known else ""), roots))

    store.change(session.remotes_file(), kept)


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
    """What the verified server says; what verified it, if it is of a release that says nothing."""
    try:
        text = pinning.roots_over(session.channel(IF_PRESENT))
    except CommandFailed:
        text = ""
    return text if table.BEGIN in text and text.isascii() else server.roots.load() or ""
