"""`multipass aliases`: list the aliases of all contexts."""

from __future__ import annotations

from client import messages, render
from client.aliases import store
from client.arguments.commandline import FORMAT
from client.command import Command
from client.errors import SUCCESS, UsageError
from client.session import Session
from client.terminal import console


def run(session: Session) -> int:
    if session.line.positionals:
        raise UsageError(messages.TAKES_NO_ARGUMENTS)
    form = render.form(session.line.value("format", render.TABLE))
    from client.render import aliases

    console.out(aliases.render(store.read(session), form))
    return SUCCESS


COMMAND = Command(
    "aliases",
    "List the aliases of all contexts; the active context is marked with `*`.",
    run,
    options=(FORMAT,),
)
