"""Errors of calls to Incus. Incus answers with a sentence alone, so its class is read from that.

Sources of the sentences: the answers of Incus 6.0.4, see `tests/multipassd/drivers/incus`. Pure.
"""

from __future__ import annotations

import re

from multipassd.drivers.interface import DriverError
from protocol.status import Status

MAX_READ = 64 << 10  # characters of it that are looked at
MAX_SAID = 300  # characters of a cluster's sentence that go to a terminal

NO_AIOHTTP = (
    "Python's aiohttp is missing, which speaks to Incus. As root: apt install python3-aiohttp"
)


class IncusError(DriverError):
    """Incus refused or failed; `said` is its own sentence, fit to be shown."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said


class Unreachable(IncusError):
    """No member of the cluster answers."""

    status = Status.UNAVAILABLE


class MemberUnreachable(Unreachable):
    """The cluster answers, and the member that would have to do it does not."""


class Lost(Unreachable):
    """The connection broke after a change was sent: whether it was carried out is not known."""


class NotFound(IncusError):
    """There is no such instance, snapshot, image, operation, ..."""

    status = Status.NOT_FOUND


class Refused(IncusError):
    """Our certificate may not do this, or is not trusted (any more)."""


class Busy(IncusError):
    """Another operation on the same instance is under way."""

    status = Status.UNAVAILABLE


class AlreadyExists(IncusError):
    """The name, or the image, is there already."""

    status = Status.ALREADY_EXISTS


class NoRoom(IncusError):
    """A disk, a pool or the project's limits have no room."""

    status = Status.RESOURCE_EXHAUSTED


class TookTooLong(IncusError):
    """A call or an operation passed its time limit; it may still be carried out."""

    status = Status.DEADLINE_EXCEEDED


class BadAnswer(IncusError):
    """The answer is not what Incus documents."""


# By what stands in the sentence; the first that fits counts.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[IncusError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"no space left|out of (disk )?space|disk quota|not enough (free )?space"
         r"|insufficient space|reached maximum|exceeds? .*limits?\.", NoRoom),
        (r"is busy running", Busy),
        (r"already exists|already in use|UNIQUE constraint", AlreadyExists),
        (r"no available \w+ leader|RAFT cluster is unavailable|begin transaction"
         r"|(isn't|not) ready yet|daemon is (starting|shutting)|(is|currently) offline"
         r"|member .*(unavailable|unreachable)|no event connection|missing event connection"
         r"|connection refused|no route to host|connection reset|i/o timeout"
         r"|failed (connecting|to connect) to", MemberUnreachable),
        (r"\b(instance|snapshot|image|operation|certificate|file|project)s? not found"
         r"|\b(instance|snapshot|image) \S* ?does not exist|no such (file|object)", NotFound),
        (r"not authorized|forbidden|permission denied|restricted|not have permission", Refused),
    )
)  # fmt: skip
_BY_CODE: dict[int, type[IncusError]] = {
    401: Refused,
    403: Refused,
    404: NotFound,
    409: AlreadyExists,
    413: NoRoom,
    502: MemberUnreachable,
    503: MemberUnreachable,
    504: MemberUnreachable,
    507: NoRoom,
}


def shown(text: object, limit: int = MAX_SAID) -> str:
    """Foreign text on one line, bounded, with nothing in it that a terminal would obey."""
    kept = str(text)[: 4 * limit].replace("\n", " ").replace("\t", " ")
    kept = "".join(filter(str.isprintable, kept)).strip()
    return kept if len(kept) <= limit else f"{kept[:limit]}…"


def failure(attempt: str, code: int, said: object) -> IncusError:
    """The error for an answer with a status code of HTTP, or 0 where there is only the sentence.
    `attempt`: what was to be done, as "start instance web"."""
    text = str(said)[-MAX_READ:]
    kind = _kind(code, text)
    sentence = _end(text) or f"status {code} without a reason"
    return kind(f"Incus could not {attempt}: {sentence.rstrip('.')}.{_advice(kind)}", sentence)


def _end(text: str) -> str:
    """As `shown`, but the end of a long one: before its reason stand command lines of programs."""
    whole = shown(text, MAX_READ)
    return whole if len(whole) <= MAX_SAID else f"…{whole[-MAX_SAID:]}"


def _kind(code: int, sentence: str) -> type[IncusError]:
    if found := _BY_CODE.get(code):
        return found
    return next((kind for pattern, kind in _BY_TEXT if pattern.search(sentence)), IncusError)


def _advice(kind: type[IncusError]) -> str:
    return _ADVICE.get(kind, "")


_ADVICE: dict[type[IncusError], str] = {
    Refused: " `sudo multipass-trust check` says what the project or the certificate lacks.",
    MemberUnreachable: " `incus cluster list` shows which members are down.",
    NoRoom: " `incus storage info POOL` and `incus project info PROJECT` show what is used.",
}


def unreachable(addresses: list[str], why: str) -> Unreachable:
    """`why`: of the last address that was tried."""
    tried = ", ".join(addresses)
    return Unreachable(
        f"No member of the Incus cluster answers ({tried}): {shown(why)}. On a member, "
        "`systemctl status incus` and `incus cluster list` show whether it runs; from here, the "
        "network and firewall must let HTTPS through to these ports.",
        shown(why),
    )


def too_long(attempt: str, seconds: float, operation: str = "") -> TookTooLong:
    """`operation`: its id at Incus, if one was started."""
    what = f"; its operation {operation} may go on: `incus operation list`" if operation else ""
    return TookTooLong(f"Incus did not {attempt} within {seconds:.0f} s{what}.")


def lost(attempt: str, why: object) -> Lost:
    return Lost(
        f"The connection to Incus broke while it was to {attempt}: {shown(why)}. Whether that was "
        "carried out is not known.",
        shown(why),
    )


def bad_answer(attempt: str, why: str) -> BadAnswer:
    return BadAnswer(f"Incus was to {attempt}, and its answer can't be used: {shown(why)}.")
