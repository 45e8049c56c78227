"""Errors that end a command: one class for each kind, with its exit code; and what ends a call.

The former become text and exit status at one place, `client/runner.py`.
"""

from __future__ import annotations

from client import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

SUCCESS = 0


class Status:
    """The gRPC status codes that the client uses; `protocol.status` would load `enum`."""

    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class ClientError(Exception):
    """Base class. `sentence` goes to stderr; `hint`, on a second line, says why and what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str, hint: str = "") -> None:
        self.sentence = sentence
        self.hint = hint
        super().__init__(sentence)

    def text(self, command: str) -> str:
        """The text to print when the command with the main name `command` ends with this error."""
        return "\n".join(part for part in (self._first_line(command), self.hint) if part)

    def _first_line(self, command: str) -> str:
        return self.sentence


class UsageError(ClientError):
    """The command line, an answer to a prompt, or a client setting is invalid."""


class SettingsFileError(ClientError):
    """The client's settings file can't be read or written."""

    exit_code = 2


class CommandFailed(ClientError):
    """The command was understood and failed."""

    exit_code = 2

    def _first_line(self, command: str) -> str:
        return messages.failed(command, self.sentence)


class Unreachable(CommandFailed):
    """No service answers at the address: no socket, refused, or closed before anything was sent."""


class HungUp(Unreachable):
    """The peer accepted the connection and closed it during the handshake."""


class AccessDenied(CommandFailed):
    """The socket's mode, or the service, denies this user access."""


class Unverified(CommandFailed):
    """The peer's identity as the service could not be verified."""


class ConnectionLost(CommandFailed):
    """The connection ended before the reply was complete."""


class DeadlinePassed(CommandFailed):
    """The deadline of the call has passed."""


class StatusError(CommandFailed):
    """The service answered with an error status; `details` are for this program, not for people."""

    def __init__(self, status: int, sentence: str, hint: str = "", details: bytes = b"") -> None:
        self.status = status
        self.details = details
        super().__init__(sentence, hint)


class NotProcessed(Exception):
    """The service did not process a request: it may be sent again."""


class BadAnswer(Exception):
    """The answer to a request is not gRPC."""


class TimedOut(ClientError):
    """A `--timeout` expired."""

    exit_code = 5


class CannotAsk(Exception):
    """A question can't be asked without a terminal; reported as a log line, as 1.16 does."""
