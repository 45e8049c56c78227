"""gRPC's own framing over HTTP/2 streams: message prefixes, paths, the status message. Pure.

Source: the gRPC over HTTP/2 protocol description (PROTOCOL-HTTP2).
"""

from __future__ import annotations

SERVICE = "multipass.Rpc"
# This project's own calls, beside Multipass's.
TRUST_SERVICE = "multipass.Trust"
GUESTS_SERVICE = "multipass.Guests"
IMAGES_SERVICE = "multipass.Images"
EXPORTS_SERVICE = "multipass.Exports"
CLUSTER_SERVICE = "multipass.Cluster"
DETAILS = "grpc-status-details-bin"  # the trailer of an error's machine-readable part, base64
PREFIX_LENGTH = 5  # one byte "compressed", four bytes length, big-endian

_PLAIN = frozenset(range(0x20, 0x7F)) - {0x25}  # what grpc-message carries unescaped


class FramingError(ValueError):
    """The bytes are no gRPC message, or one that is not taken (compressed, over the limit)."""


class MessageTooLarge(FramingError):
    """The length prefix announces more than the limit."""


def path(method: str, service: str = SERVICE) -> str:
    return f"/{service}/{method}"


def frame(payload: bytes) -> bytes:
    """One uncompressed message with its prefix."""
    return b"\0" + len(payload).to_bytes(4, "big") + payload


class Deframer:
    """Cuts a stream's bytes into messages; holds at most `limit` bytes and a prefix."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes. Raises FramingError."""
        self._buffer += data
        messages = []
        while len(self._buffer) >= PREFIX_LENGTH:
            if self._buffer[0]:
                raise FramingError("compressed messages are not supported")
            length = int.from_bytes(self._buffer[1:PREFIX_LENGTH], "big")
            if length > self._limit:
                raise MessageTooLarge(f"a message of {length} bytes; the limit is {self._limit}")
            end = PREFIX_LENGTH + length
            if len(self._buffer) < end:
                break
            messages.append(bytes(self._buffer[PREFIX_LENGTH:end]))
            del self._buffer[:end]
        return messages


def encode_message(text: str) -> str:
    """Percent-encode a status message for the `grpc-message` trailer."""
    return "".join(
        chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode("utf-8", "replace")
    )


def decode_message(text: str) -> str:
    """Undo `encode_message`; a stray percent sign stays as it is. (urllib costs the CLI 5 ms.)"""
    head, *rest = text.encode("utf-8", "replace").split(b"%")
    decoded = bytearray(head)
    for part in rest:
        try:
            decoded += bytes.fromhex(part[:2].decode("ascii")) + part[2:]
        except ValueError:
            decoded += b"%" + part
    return decoded.decode("utf-8", "replace")
