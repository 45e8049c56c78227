"""The root certificates that a server is verified against."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

MAX_FILE = 256 * 1024  # bytes; a root certificate has about 800
BEGIN = "-----BEGIN CERTIFICATE-----"


def load(paths: Sequence[str], owners: Container[int] | None = None) -> str | None:
    """The PEM text of all given files that exist, None if they have no certificate.

    With `owners`, only files of one of these users that no other user may write are read.
    """
    texts = [text for path in paths if (text := _read(path, owners)) is not None]
    return "\n".join(texts) or None


def _read(path: str, owners: Container[int] | None) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if owners is not None and (status.st_uid not in owners or status.st_mode & 0o022):
            return None
        text = os.read(descriptor, MAX_FILE).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return text if BEGIN in text and text.isascii() else None
