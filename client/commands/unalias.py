"""`multipass unalias`: remove aliases and their scripts."""

from __future__ import annotations

from client import alias_messages
from client.aliases import store
from client.aliases.table import Aliases
from client.arguments import instances as arguments_instances
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, UsageError
from client.session import Session


def run(session: Session) -> int:
    words = arguments_instances.named(session).names

    def remove(aliases: Aliases) -> None:
        """All or none."""
        if missing := [word for word in words if aliases.place(word) is None]:
            raise UsageError(alias_messages.nonexistent(missing))
        active = aliases.contexts[aliases.active]
        places = {place for word in words or active if (place := aliases.place(word))}
        for place in places:
            aliases.remove(*place)

    store.change(session, remove)
    return SUCCESS


COMMAND = Command(
    "unalias",
    "Remove aliases of the active context, or of another one by `<context>.<name>`.\n"
    "If one of them is not there, none is removed.",
    run,
    options=(Option(("all",), "Remove all aliases of the active context"),),
    syntax="<name> [<name> ...]",
    arguments=(Argument("name", "Names of the aliases to remove"),),
)
