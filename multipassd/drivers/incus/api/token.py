"""The token that a member of an Incus cluster prints for a client that is to join it. Pure.

`incus config trust add NAME --restricted --projects PROJECT` prints base64 of a JSON object. It is
pasted by an administrator, and may come from anywhere.
"""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from multipassd.drivers.incus.api import addresses
from multipassd.drivers.incus.api.errors import IncusError, shown
from multipassd.drivers.incus.api.membership import FINGERPRINT
from protocol.status import Status

MAX_TOKEN = 16 << 10  # characters: 64 addresses are some 4 KiB
MAX_SECRET = 512  # characters; Incus' have 64
MAX_NAME = 256  # characters of a certificate's name
NEVER = "0001-01-01"  # the date of a token without an end


class BadToken(IncusError):
    """The text is no token of Incus, or it has ended. It is never quoted: it holds a secret."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The token can't be used: {why}. A new one is printed on a member by "
            "`incus config trust add NAME --restricted --projects PROJECT`."
        )


class Token(NamedTuple):
    """What a token says. `text` is what the server takes."""

    text: str
    client: str
    fingerprint: str
    addresses: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Token(client={self.client!r}, addresses={self.addresses!r})"


def read(text: str, now: datetime | None = None) -> Token:
    """Raises BadToken."""
    plain = "".join(text.split())
    if not plain:
        raise BadToken("it is empty")
    if len(plain) > MAX_TOKEN:
        raise BadToken(f"it has more than {MAX_TOKEN} characters")
    fields = _decoded(plain)
    fingerprint = _text(fields, "fingerprint").lower()
    if not FINGERPRINT.fullmatch(fingerprint):
        raise BadToken("its fingerprint is no SHA-256")
    if not 0 < len(_text(fields, "secret")) <= MAX_SECRET:
        raise BadToken("it has no secret")
    if "server_name" in fields:
        raise BadToken("it lets a server join a cluster (`incus cluster add`), not a client")
    named = fields.get("addresses")
    found = addresses.usable(named) if isinstance(named, list) else ()
    if not found:
        raise BadToken("it names no address of a server; see `core.https_address` there")
    _check_end(fields.get("expires_at"), now or datetime.now(UTC))
    return Token(plain, shown(_text(fields, "client_name"), MAX_NAME), fingerprint, found)


def _decoded(plain: str) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(plain, validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise BadToken("it is cut off, or no token of Incus") from None
    if not isinstance(found, dict):
        raise BadToken("it is no token of Incus")
    return found


def _text(fields: dict[str, Any], name: str) -> str:
    found = fields.get(name, "")
    if not isinstance(found, str):
        raise BadToken(f"its {name} is no text")
    return found


def _check_end(end: object, now: datetime) -> None:
    if end is None or (isinstance(end, str) and (not end or end.startswith(NEVER))):
        return
    try:
        moment = datetime.fromisoformat(_without_nanoseconds(str(end)))
    except ValueError:
        raise BadToken("its end is no time") from None
    if moment.tzinfo is None:
        raise BadToken("its end is no time")
    if moment <= now:
        raise BadToken(f"it has ended, at {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def _without_nanoseconds(text: str) -> str:
    """Go writes nine digits, or as many as there are, where Python takes up to six."""
    whole, point, rest = text.partition(".")
    if not point:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{whole}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"
