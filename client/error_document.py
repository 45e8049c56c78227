"""Errors as one line of JSON, for programs that run this one: `--errors=json`."""

from __future__ import annotations

from client import errors
from client.errors import ClientError, Status, StatusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.arguments.commandline import CommandLine

JSON = "json"
FAILED = "failed"

# The first class that fits decides.
KINDS: tuple[tuple[type[ClientError], str], ...] = (
    (errors.HungUp, "unreachable"),
    (errors.Unreachable, "unreachable"),
    (errors.AccessDenied, "denied"),
    (errors.Unverified, "unverified"),
    (errors.ConnectionLost, "lost"),
    (errors.DeadlinePassed, "timeout"),
    (errors.TimedOut, "timeout"),
    (errors.UsageError, "usage"),
)
STATUSES = {
    Status.UNAUTHENTICATED: "unauthenticated",
    Status.PERMISSION_DENIED: "denied",
    Status.NOT_FOUND: "missing",
    Status.UNAVAILABLE: "unreachable",
    Status.DATA_LOSS: "damaged",
}


def wanted(line: CommandLine) -> bool:
    """Whether the command line asks for errors in this form."""
    return line.value("errors", "") == JSON


def kind(error: BaseException) -> str:
    """A word for programs, as multipass(1) lists them."""
    if isinstance(error, StatusError):
        return STATUSES.get(error.status, FAILED)
    return next((name for each, name in KINDS if isinstance(error, each)), FAILED)


def render(text: str, exit_code: int, kind: str = FAILED) -> str:
    """`text` as people get it: the first line says what happened, the others what to do. The
    document has no line break, so it is always the last line of stderr."""
    import json

    problem, _, following = text.strip().partition("\n")
    error = {"problem": problem, "next": following, "kind": kind, "exit_code": exit_code}
    return json.dumps({"error": error}) + "\n"
