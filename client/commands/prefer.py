"""`multipass prefer`: choose the context that aliases are looked up in first."""

from __future__ import annotations

from client import alias_messages
from client.aliases import store
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session


def run(session: Session) -> int:
    given = session.line.positionals
    if not given:
        raise UsageError(alias_messages.NEEDS_CONTEXT)
    if len(given) > 1:
        raise UsageError(alias_messages.WRONG_NUMBER)
    store.change(session, lambda aliases: aliases.prefer(given[0]))
    return SUCCESS


COMMAND = Command(
    "prefer",
    "Choose the context that aliases are made, removed and looked up in. One that is\n"
    "not there is made.",
    run,
    syntax="<name>",
    arguments=(Argument("name", "Name of the context"),),
)
