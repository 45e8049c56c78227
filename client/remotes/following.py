"""Follow a server whose root certificate is renewed: a kept one is looked at after a command, once
a week. A service renews its root a year before it ends, so a client in use misses no renewal.
"""

from __future__ import annotations

import time

from client.errors import ClientError
from client.remotes import pinning, store
from client.remotes.table import Remote, Remotes
from client.server import Server
from client.session import IF_PRESENT
from client.transport.roots import Roots
from protocol.addresses import TcpAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.session import Session

EVERY = 7 * 24 * 3600  # seconds
ANSWER_WITHIN = 5.0  # seconds; the command is done, and its user waits for the prompt


def afterwards(session: Session) -> None:
    """At the end of a command that reached a kept server. Prints nothing and never fails: what is
    kept verifies the server as before, and the next look is a week away."""
    server = session.server()
    if not isinstance(server.address, TcpAddress) or session.never_enrols:
        return
    try:
        kept = store.read(session.remotes_file()).at(server.address)
        # In either direction of the clock.
        if kept is not None and abs(time.time() - kept.followed) >= EVERY:
            _note(session, kept, _newest(session, server) or kept.roots)
    except (ClientError, OSError):
        return


def _newest(session: Session, server: Server) -> str:
    """What the server, which its kept certificate verifies, says; empty unless that verifies it
    as well."""
    try:
        found = pinning.blocks(_said(session))
        if found and found != server.roots.load():
            session.talk_to(Server(server.address, Roots.known(found, "what it said")))
            _said(session)
    except ClientError:
        return ""
    return found


def _said(session: Session) -> str:
    deadline = time.monotonic() + ANSWER_WITHIN
    return pinning.roots_over(session.channel(IF_PRESENT, patience=0, deadline=deadline))


def _note(session: Session, kept: Remote, roots: str) -> None:
    """Unless another command has changed it since."""

    def noted(remotes: Remotes) -> None:
        for each in remotes.every():
            if each.address == kept.address and each.roots == kept.roots:
                remotes.keep(Remote(kept.address, each.name, roots, int(time.time())))

    store.change(session.remotes_file(), noted)
