"""`multipass transfer`: copy files and directories between this host and instances."""

from __future__ import annotations

import os

from client import rpc, transfer_messages
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.errors import SUCCESS, ClientError, UsageError
from client.guests import guest
from client.session import Session
from client.sftp import names
from client.sftp.connection import Connection
from client.sftp.interruption import Interrupted, Interruption
from client.sftp.protocol import Refused
from client.sftp.report import Report
from client.terminal import console
from client.terminal.transfer_line import TransferLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

STREAM = "-"
FAILED = 2  # exit code if a file was not transferred


class TransferFailed(ClientError):
    """The target of several sources is not fit for them."""

    exit_code = FAILED


class Side:
    """A source or the destination: in an instance if `instance` is not empty."""

    def __init__(self, word: str) -> None:
        instance, colon, path = word.partition(":")
        # As in scp: what has a slash before the colon is a path of this host.
        self.instance = instance if colon and "/" not in instance else ""
        self.is_stream = word == STREAM
        self.path = os.fsencode(path if self.instance else word)
        if self.instance:
            self.path = names.in_home(self.path)


def run(session: Session) -> int:
    sides = [Side(word) for word in session.line.positionals]
    _check(sides)
    with Interruption() as interruption:
        try:
            return _transfer(session, sides[:-1], sides[-1], interruption)
        except Interrupted as interrupted:
            return interrupted.code


def _check(sides: Sequence[Side]) -> None:
    """Raises UsageError."""
    if len(sides) < 2:
        raise UsageError(transfer_messages.NOT_ENOUGH)
    *sources, target = sides
    streams = sum(side.is_stream for side in sides)
    if streams > 1:
        raise UsageError(transfer_messages.ONE_DASH)
    if streams and len(sides) > 2:
        raise UsageError(transfer_messages.TWO_WITH_DASH)
    inside = sum(bool(source.instance) for source in sources)
    if target.is_stream and not inside:
        raise UsageError(transfer_messages.SOURCE_INSIDE)
    if sources[0].is_stream and not target.instance:
        raise UsageError(transfer_messages.TARGET_INSIDE)
    if target.instance and inside:
        raise UsageError(transfer_messages.BOTH_INSTANCES)
    if not target.instance and not inside:
        raise UsageError(transfer_messages.NO_INSTANCE)
    if not target.instance and inside < len(sources):
        raise UsageError(transfer_messages.ALL_INSIDE)


def _transfer(
    session: Session, sources: Sequence[Side], target: Side, interruption: Interruption
) -> int:
    with TransferLine(not target.is_stream) as line:
        if line.is_shown:
            line.expect(_size(sources))
        report = Report(line.failed, line.moved, line.expect if len(sources) == 1 else _ignore)
        connections = Connections(session, report, interruption)
        try:
            if len(sources) > 1:
                _need_directory(target, connections)
            for source in sources:
                _copy(source, target, connections)
        finally:
            connections.close()
    for hint in report.hints:
        console.line_err(hint)
    return FAILED if report.failures else SUCCESS


def _copy(source: Side, target: Side, connections: Connections) -> None:
    """Raises CommandFailed, Interrupted."""
    connection = connections.to(source.instance or target.instance)
    if source.is_stream:
        connection.upload_stream(console.STDIN, target.path)
    elif target.is_stream:
        connection.download_stream(source.path, console.STDOUT)
    elif target.instance:
        connection.upload(source.path, target.path)
    else:
        connection.download(source.path, target.path)


def _need_directory(target: Side, connections: Connections) -> None:
    """Several sources go into a directory. Raises TransferFailed, CommandFailed, Interrupted."""
    shown = names.shown(target.path)
    try:
        if target.instance:
            is_directory = connections.to(target.instance).is_directory(target.path)
        else:
            is_directory = _is_directory(target.path)
    except OSError as error:
        raise TransferFailed(
            transfer_messages.cannot_access_target(shown, error.strerror or str(error))
        ) from error
    except Refused as error:
        raise TransferFailed(transfer_messages.cannot_access_target(shown, error.why)) from error
    if not is_directory:
        raise TransferFailed(transfer_messages.not_a_directory(shown))


def _is_directory(path: bytes) -> bool:
    """Raises OSError."""
    import stat

    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _size(sources: Sequence[Side]) -> int:
    """The bytes of files and directories of this host; 0 if that can't be said."""
    total = 0
    for source in sources:
        if source.instance or source.is_stream:
            return 0
        try:
            total += os.path.getsize(source.path)
            for place, _, files in os.walk(source.path):
                total += sum(os.lstat(os.path.join(place, name)).st_size for name in files)
        except OSError:
            return 0
    return total


def _ignore(size: int) -> None:
    """Ignores the size of one source among several: the percentage would jump."""


class Connections:
    """To each instance one, which is made when it is needed first."""

    def __init__(self, session: Session, report: Report, interruption: Interruption) -> None:
        self._session = session
        self._report = report
        self._interruption = interruption
        self._made: dict[str, Connection] = {}

    def to(self, instance: str) -> Connection:
        """Raises CommandFailed, Interrupted."""
        if instance not in self._made:
            found = guest.reach(self._session, instance, rpc.open_channel(self._session))
            self._made[instance] = found.log_in(self._connect)
        return self._made[instance]

    def _connect(self, found: guest.Guest) -> Connection:
        flags = self._session.line.flags
        how = "recursive" in flags, "parents" in flags
        return Connection(found, self._report, self._interruption, *how)

    def close(self) -> None:
        for connection in self._made.values():
            connection.close()


COMMAND = Command(
    "transfer",
    "Copy files and directories from this host to an instance, or from instances to\n"
    "this host. Paths in an instance that do not begin with / begin at the home of\n"
    "its login user; wildcards are not expanded there.",
    run,
    aliases=("copy-files",),
    options=(
        Option(("r", "recursive"), "Copy directories with all that is in them"),
        Option(("p", "parents"), "Make the directories of the target that are missing"),
    ),
    syntax="<source> [<source> ...] <destination>",
    arguments=(
        Argument(
            "source",
            "What to copy: a path of this host, or `<instance>:<path>`; `-` is standard input",
        ),
        Argument(
            "destination",
            "Where to: a path of this host, or `<instance>:<path>`, an existing directory for "
            "several sources; `-` is standard output",
        ),
    ),
)
