"""Several pieces of user data in one, as cloud-init takes them: a MIME message. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.user_data_kinds import MIME


@dataclass(frozen=True)
class Part:
    """One part of the message."""

    type: str  # MIME type
    text: str
    merge: str = ""  # how a configuration is merged with those before it, as cloud-init writes it


def message(parts: Iterable[Part]) -> str:
    """One that is a message itself has its own headers already, and stays as it is."""
    known = [_whole(part) for part in parts]
    # No part can have it inside, as it depends on all of them.
    boundary = hashlib.sha256("\0".join(known).encode()).hexdigest()
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\nMIME-Version: 1.0\n\n'
    body = "".join(f"--{boundary}\n{part}\n" for part in known)
    return f"{head}{body}--{boundary}--\n"


def _whole(part: Part) -> str:
    if part.type == MIME:
        return part.text
    # cloud-init takes the whole message for a text, in which it finds no bytes beyond ASCII.
    encoding = "7bit" if part.text.isascii() else "base64"
    text = part.text if part.text.isascii() else base64.encodebytes(part.text.encode()).decode()
    merge = f"Merge-Type: {part.merge}\n" if part.merge else ""
    return (
        f'Content-Type: {part.type}; charset="utf-8"\nContent-Transfer-Encoding: {encoding}\n'
        f"MIME-Version: 1.0\n{merge}\n{text}"
    )
