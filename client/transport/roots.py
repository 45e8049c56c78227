"""The root certificates that a server is verified against."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

MAX_FILE = 256 * 1024  # bytes; a root certificate has about 800
BEGIN = "-----BEGIN CERTIFICATE-----"


class Roots:
    """Those of the given files; or, `known`, those that are known to be one server's."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self._text = ""

    @classmethod
    def known(cls, text: str, where: str) -> Roots:
        """`where` says in an error what they are."""
        made = cls([where])
        made._text = text
        return made

    @property
    def are_known(self) -> bool:
        return bool(self._text)

    def __str__(self) -> str:
        """Where they are."""
        return " or ".join(self._files)

    def load(self, owners: Container[int] | None = None) -> str | None:
        """The PEM text of all files that exist, None if they have no certificate.

        With `owners`, only files of one of these users that no other user may write are read.
        """
        if self._text:
            return self._text
        texts = [text for path in self._files if (text := _read(path, owners)) is not None]
        return "\n".join(texts) or None


def _read(path: str, owners: Container[int] | None) -> str | None:
    try:
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = posix.fstat(descriptor)
        if owners is not None and (status.st_uid not in owners or status.st_mode & 0o022):
            return None
        text = posix.read(descriptor, MAX_FILE).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        posix.close(descriptor)
    return text if BEGIN in text and text.isascii() else None
