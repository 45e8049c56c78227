"""Names of clients: who a certificate belongs to. Several certificates of a person share one."""

from __future__ import annotations

import pwd
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

# One plain form, so that no two names look alike on a terminal, and none commands it: no capital
# letters, nothing outside ASCII. What Debian's adduser takes, and dots.
NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}")
# Root's own client has it; no other client can be given it.
ROOT = "root"
# Names that the service makes of fingerprints; a chosen one could pass for another certificate's.
DIGITS = re.compile(r"[0-9a-f]{4,64}")  # fewer are as likely a slip as a choice
MADE = re.compile(r"client-[0-9a-f]{8}")
SHOWN = 20  # candidates that a message lists
FORM = (
    "A name has 1 to 32 lower-case letters, digits, '.', '_' and '-', and begins with a letter or "
    "'_'."
)


class Record(Protocol):
    """What is needed of a client's record."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> int | None: ...


def complaint(name: str) -> str:
    """Why a client can't be given this name; empty if it can."""
    if not NAME.fullmatch(name):
        return FORM
    if name == ROOT:
        return "The name 'root' is reserved for root's own client."
    if MADE.fullmatch(name):
        return "Names of this form are made by the service, of fingerprints."
    return ""


def of_fingerprint(fingerprint: str) -> str:
    """Of a client of which no more than its certificate is known."""
    return f"client-{fingerprint[:8]}"


def of_user(uid: int | None) -> str:
    """Of a user of this host; empty if there is no such user, or its name is none for a client."""
    if uid is None:
        return ""
    try:
        name = pwd.getpwuid(uid).pw_name.lower()
    except (KeyError, OverflowError):
        return ""
    fits = NAME.fullmatch(name) and (name != ROOT or uid == 0) and not MADE.fullmatch(name)
    return name if fits else ""


def default(uid: int | None, fingerprint: str) -> str:
    """The name of a client to which no name was given."""
    return of_user(uid) or of_fingerprint(fingerprint)


class Ambiguous(Exception):
    """Several could be meant: a name that is the beginning of another's fingerprint, too, or the
    beginning of several. `candidates`: a line for each."""

    def __init__(self, wanted: str, found: Sequence[Record]) -> None:
        self.sentence = f"{wanted!r} fits {len(found)} clients"
        shown = [f"  {each.fingerprint}  {each.name}".rstrip() for each in found[:SHOWN]]
        more = [f"  and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        self.candidates = "\n".join(shown + more)
        super().__init__(self.sentence)


def choose(records: Iterable[Record], wanted: str) -> list[str]:
    """The fingerprints of the person with this name, or the only one that begins so; empty if there
    is none. Raises Ambiguous."""
    found = list(records)
    named = [each.fingerprint for each in found if wanted and each.name == wanted]
    start = wanted.lower().replace(":", "")
    beginning = [
        each.fingerprint
        for each in found
        if DIGITS.fullmatch(start) and each.fingerprint.startswith(start)
    ]
    if set(beginning) <= set(named) or (not named and len(beginning) == 1):
        return named or beginning
    both = {*named, *beginning}
    raise Ambiguous(wanted, [each for each in found if each.fingerprint in both])


def free_for(
    records: Iterable[Record], wanted: str, uid: int | None, reserved: Iterable[str] = ()
) -> str:
    """`wanted`, unless another person has it: the same user's certificates share a name."""
    records = list(records)
    taken = {each.name for each in records if uid is None or each.uid != uid} | set(reserved)
    own = {each.name for each in records if uid is not None and each.uid == uid}
    return wanted if wanted in own else free(wanted, taken)


def free(wanted: str, taken: Collection[str]) -> str:
    """`wanted`, or with a number behind it where another person has that."""
    number, name = 2, wanted
    while name in taken:
        name = f"{wanted[:24]}-{number}"
        number += 1
    return name
