"""What a command can end with: one class a kind, each with its exit code.

They become text and exit status at one place, `client/runner.py`.
"""

from __future__ import annotations

from client import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

SUCCESS = 0


class Status:
    """gRPC's numbers that something depends on here; `protocol.status` would load `enum`."""

    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14


class ClientError(Exception):
    """Base. `sentence` goes to stderr; `hint`, on a line of its own, says why and what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, hint: str = "") -> None:
        self.sentence = sentence
        self.hint = hint
        super().__init__(sentence)

    def text(self, command: str) -> str:
        """What to print when `command`, by its main name, ends with this."""
        return "\n".join(part for part in (self._first_line(command), self.hint) if part)

    def _first_line(self, command: str) -> str:
        return self.sentence


class UsageError(ClientError):
    """The command line, an answer or a client setting is wrong."""


class SettingsFileError(ClientError):
    exit_code = 2


class CommandFailed(ClientError):
    exit_code = 2

    def _first_line(self, command: str) -> str:
        return messages.failed(command, self.sentence)


class Unreachable(CommandFailed):
    """Nobody answers at the address: not there, refused, or gone before anything was sent."""


class HungUp(Unreachable):
    """Somebody answered and was gone before the handshake was done."""


class AccessDenied(CommandFailed):
    """The file system, or the service in its place, keeps this user out."""


class Unverified(CommandFailed):
    """Whoever answers can't prove to be the service."""


class ConnectionLost(CommandFailed):
    """The answer broke off."""


class DeadlinePassed(CommandFailed):
    """The caller's time is up."""


class StatusError(CommandFailed):
    """The service answered with an error status; `details` are for this program, not for people."""

    def __init__(self, status: int, sentence: str, hint: str = "", details: bytes = b"") -> None:
        self.status = status
        self.details = details
        super().__init__(sentence, hint)


class TimedOut(ClientError):
    """A `--timeout` expired."""

    exit_code = 5


class CannotAsk(Exception):
    """Nobody is there to confirm what must be confirmed; told as Multipass does, in its log."""
