"""The instances that a command line selects: those named, all, or the primary one."""

from __future__ import annotations

from client import instance_messages
from client.command import Argument
from client.errors import UsageError
from protocol.messages.common import InstanceNames, InstanceSnapshotPair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.session import Session

# The usage text of commands whose default is the primary instance.
SYNTAX, SYNTAX_WITHOUT_PRIMARY = "[<name> ...]", "<name> [<name> ...]"


def argument(verb: str) -> Argument:
    return Argument(
        "name", f"Names of the instances to {verb}; without a name, the primary instance is meant"
    )


class Selection:
    """`names` is empty for all instances, as in requests."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)

    def request(self) -> InstanceNames:
        return InstanceNames(instance_name=self.names)

    def doing(self, verb: str) -> str:
        """The text of the spinner."""
        if not self.names:
            return f"{verb} all instances"
        return f"{verb} {self.names[0] if len(self.names) == 1 else 'requested instances'}"


def named(session: Session) -> Selection:
    """Either names or `--all`. Raises UsageError."""
    names, everything = session.line.positionals, "all" in session.line.flags
    if everything and names:
        raise UsageError(instance_messages.name_with_all(len(names)))
    if not everything and not names:
        raise UsageError(instance_messages.NAME_OR_ALL)
    return Selection(names)


def named_or_primary(session: Session) -> Selection:
    """Like `named`, with the primary instance as default. Raises UsageError."""
    if session.line.positionals or "all" in session.line.flags:
        return named(session)
    primary = session.primary()
    if not primary:
        raise UsageError(instance_messages.NAME_OR_ALL, instance_messages.PRIMARY_DISABLED)
    return Selection([primary])


def pair(word: str) -> InstanceSnapshotPair:
    """`<instance>` or `<instance>.<snapshot>`."""
    instance, dot, snapshot = word.partition(".")
    return InstanceSnapshotPair(instance_name=instance, snapshot_name=snapshot if dot else None)
