"""gRPC's headers: which requests are taken, and what answers say. Pure."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

from multipassd.transport.quota import limits
from protocol.errors import RpcError
from protocol.grpc import DETAILS, encode_message
from protocol.hpack import Header
from protocol.methods import BY_PATH, Method

Headers = tuple[Header, ...]

ANSWER: Headers = ((b":status", b"200"), (b"content-type", b"application/grpc"))
NOT_GRPC: Headers = ((b":status", b"415"),)
SUCCESS: Headers = ((b"grpc-status", b"0"),)

_REQUIRED = {b":method", b":scheme", b":path"}
_PSEUDO = _REQUIRED | {b":authority"}
_NOT_IN_NAMES = frozenset((*range(0x21), *range(0x41, 0x5B), *range(0x7F, 0x100)))
_NOT_IN_VALUES = frozenset(b"\0\r\n")
_KEPT = 64  # requests kept ready: each client repeats the same ones


class Request(NamedTuple):
    """What a call's headers say. `method`: None for one that does not exist."""

    grpc: bool
    method: Method | None


@lru_cache(_KEPT)
def request_of(headers: Headers) -> Request | None:
    """None if they are malformed."""
    if not well_formed(headers):
        return None
    found = dict(headers)
    grpc = found.get(b"content-type", b"").startswith(b"application/grpc")
    return Request(grpc, BY_PATH.get(found[b":path"].decode("latin-1")))


def well_formed(headers: Headers) -> bool:
    """RFC 9113's rules for a request's headers (8.2.1, 8.3): each pseudo-header once, before the
    others, none unknown; the characters of names and values; POST."""
    pseudo = dict[bytes, bytes]()
    regular = False
    for name, value in headers:
        if not _NOT_IN_VALUES.isdisjoint(value):
            return False
        if not name.startswith(b":"):
            regular = True
            if not name or not _NOT_IN_NAMES.isdisjoint(name) or b":" in name:
                return False
        elif regular or name in pseudo or name not in _PSEUDO:
            return False
        else:
            pseudo[name] = value
    return pseudo.keys() >= _REQUIRED and pseudo[b":method"] == b"POST"


def trailers_of(error: RpcError) -> Headers:
    """How a call that failed ends."""
    trailers = [(b"grpc-status", str(int(error.status)).encode())]
    if message := status_message(error.message):
        trailers.append((b"grpc-message", message.encode()))
    details = b64encode(error.details)
    if 0 < len(details) <= limits.STATUS_DETAILS:
        trailers.append((DETAILS.encode(), details))
    return tuple(trailers)


def status_message(text: str) -> str:
    """Encoded, and cut where it is longer than clients take: it may quote what the caller sent."""
    encoded = encode_message(text)
    if len(encoded) <= limits.STATUS_MESSAGE:
        return encoded
    most = limits.STATUS_MESSAGE // 3 - len("…".encode())  # a byte takes up to three characters
    return encode_message(text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore") + "…")
