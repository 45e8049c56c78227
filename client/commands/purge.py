"""`multipass purge`: remove deleted instances permanently."""

from __future__ import annotations

from client import messages, rpc
from client.command import Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from protocol.messages.lifecycle import PurgeReply, PurgeRequest


def run(session: Session) -> int:
    if session.line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    request = PurgeRequest(verbosity_level=session.verbosity)
    reply = rpc.call(session, "purge", request, PurgeReply)
    if reply.purged_instances:
        from client.aliases import store

        store.forget_instances(session, reply.purged_instances)
    return SUCCESS


COMMAND = Command(
    "purge",
    "Remove all deleted instances permanently. They cannot be recovered afterwards.",
    run,
)
