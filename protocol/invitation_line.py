"""The line of an invitation: a secret, and the server that it is for. Pure.

    mpi1-<secret>-<check>                 as a service of the first release made it
    mpi1-<secret>-<check>.<pin><check>

The secret is 128 random bits. The pin is the SHA-256 hash of the public key of the server's root
certificate: a root that is issued anew for the same key keeps it. All is in base32, lower case.
The second check covers the whole line. A service looks at what is before the dot alone, so that a
later release can say more behind it.
"""

from __future__ import annotations

import base64
import hashlib

PREFIX = "mpi1-"  # no passphrase can be set that begins so
SECRET, CHECK, PIN = 26, 4, 52  # characters
LONGEST_REST = 200  # characters behind the dot
BASE32 = frozenset("abcdefghijklmnopqrstuvwxyz234567")


class BadLine(ValueError):
    """The text is not the whole line of an invitation."""


def make(secret: bytes) -> str:
    """The line for 16 random bytes, without a pin."""
    text = _base32(secret)
    return f"{PREFIX}{text}-{_check('line' + text)}"


def with_pin(line: str, public_key: bytes) -> str:
    """The same line for the server whose root certificate has this public key (DER)."""
    whole = f"{line}.{pin(public_key)}"
    return whole + _check(whole)


def pin(public_key: bytes) -> str:
    """What a line says of a server; `public_key` is a SubjectPublicKeyInfo in DER."""
    return _base32(hashlib.sha256(public_key).digest())


def is_line(text: str) -> bool:
    """Whether it is meant as one: it may be damaged."""
    return text.strip().startswith(PREFIX)


def secret_of(text: str) -> str:
    """What the service knows the hash of. Raises BadLine."""
    line, _, rest = text.strip().partition(".")
    secret, dash, check = line.removeprefix(PREFIX).partition("-")
    sound = (
        line.startswith(PREFIX + secret + dash)
        and _is_base32(secret, SECRET)
        and check == _check("line" + secret)
        and len(rest) <= LONGEST_REST
        and all("!" <= character <= "~" for character in rest)
    )
    if not sound:
        raise BadLine
    return secret


def pin_of(text: str) -> str:
    """The server's pin; empty if the line has none. Raises BadLine."""
    secret_of(text)
    line, dot, rest = text.strip().partition(".")
    if not dot:
        return ""
    if not _is_base32(rest, PIN + CHECK) or rest[PIN:] != _check(f"{line}.{rest[:PIN]}"):
        raise BadLine
    return rest[:PIN]


def _is_base32(text: str, length: int) -> bool:
    return len(text) == length and BASE32.issuperset(text)


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower().rstrip("=")


def _check(text: str) -> str:
    """Tells a slip of the hand from a line that was used; says nothing of the secret's hash."""
    return _base32(hashlib.sha256(text.encode()).digest())[:CHECK]
