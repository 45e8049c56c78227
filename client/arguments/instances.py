"""Which instances a command line means: those named, all of them, or the primary one."""

from __future__ import annotations

from client import sentences
from client.command import Argument
from client.errors import UsageError
from protocol.messages.common import InstanceNames, InstanceSnapshotPair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.session import Session

# How a command that takes the primary instance where no name is given is written.
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
        """What is going on, for a spinner."""
        if not self.names:
            return f"{verb} all instances"
        return f"{verb} {self.names[0] if len(self.names) == 1 else 'requested instances'}"


def named(session: Session) -> Selection:
    """Names or `--all`, one of them. Raises UsageError."""
    names, everything = session.line.positionals, "all" in session.line.flags
    if everything and names:
        raise UsageError(sentences.name_with_all(len(names)))
    if not everything and not names:
        raise UsageError(sentences.NAME_OR_ALL)
    return Selection(names)


def named_or_primary(session: Session) -> Selection:
    """The same, and the primary instance where nothing is said. Raises UsageError."""
    if session.line.positionals or "all" in session.line.flags:
        return named(session)
    primary = session.primary()
    if not primary:
        raise UsageError(sentences.NAME_OR_ALL, sentences.PRIMARY_DISABLED)
    return Selection([primary])


def pair(word: str) -> InstanceSnapshotPair:
    """`<instance>` or `<instance>.<snapshot>`."""
    instance, dot, snapshot = word.partition(".")
    return InstanceSnapshotPair(instance_name=instance, snapshot_name=snapshot if dot else None)
