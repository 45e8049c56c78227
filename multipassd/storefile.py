"""The text of the trust store: concatenated PEM certificates, written by us and by hand.

Pure. People append with `cat … | sudo tee -a …`, so much is tolerated: text between blocks, CRLF,
a missing newline before a block. A block that is broken is reported with its line, never erased.
"""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass

from protocol.pem import CERTIFICATE, body_to_der, fingerprint

BEGIN = b"-----BEGIN CERTIFICATE-----"
END = b"-----END CERTIFICATE-----"
MARKER = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")

# More newlines than anyone types, fewer than the shortest certificate has bytes.
BLANKED = re.compile(rb"\n{200,}")

MAX_PROBLEMS = 100  # enough to see what is wrong; a file full of rubbish must not fill the journal


@dataclass(frozen=True)
class Contents:
    """What the text holds. `torn` is where an unfinished block at the very end begins."""

    fingerprints: frozenset[str]
    problems: tuple[str, ...]
    torn: int | None
    torn_line: int
    blank: bool
    size: int
    ends_line: bool


NOTHING = Contents(frozenset(), (), None, 0, True, 0, True)


class _Lines:
    """Turns ever larger offsets into line numbers, reading the text once in all."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0
        self._line = 1

    def at(self, offset: int) -> int:
        self._line += self._data.count(b"\n", self._offset, offset)
        self._offset = offset
        return self._line


class _Problems:
    def __init__(self, data: bytes) -> None:
        self._lines = _Lines(data)
        self._texts: list[str] = []
        self._more = 0

    def add(self, offset: int, text: str) -> None:
        if len(self._texts) < MAX_PROBLEMS:
            self._texts.append(f"line {self._lines.at(offset)}: {text}")
        else:
            self._more += 1

    def texts(self) -> tuple[str, ...]:
        more = (f"and {self._more} more problems",) if self._more else ()
        return (*self._texts, *more)


def parse(data: bytes, known: Container[str], check: Callable[[bytes], None]) -> Contents:
    """Find the certificates in the text.

    `check` raises ValueError for DER that is no certificate. It is not asked about fingerprints
    in `known`: they passed before, and the same bytes pass again, which keeps reading a large
    store for a small change quick.
    """
    torn = torn_start(data)
    problems = _Problems(data)
    found: set[str] = set()
    end = 0
    for block in CERTIFICATE.finditer(data):
        if block.start() - end > 1:
            _inspect_gap(data, end, block.start(), problems)
        end = block.end()
        try:
            der = body_to_der(block["body"])
            name = fingerprint(der)
            if name not in known and name not in found:
                check(der)
            found.add(name)
        except ValueError as error:
            problems.add(block.start(), f"this block is not a certificate: {error}")
    _inspect_gap(data, end, len(data) if torn is None else torn, problems)
    return Contents(
        fingerprints=frozenset(found),
        problems=problems.texts(),
        torn=torn,
        torn_line=0 if torn is None else data.count(b"\n", 0, torn) + 1,
        blank=not data.strip(),
        size=len(data),
        ends_line=not data or data.endswith(b"\n"),
    )


def _inspect_gap(data: bytes, start: int, end: int, problems: _Problems) -> None:
    """Report the broken and foreign blocks in a stretch without any good block."""
    opened: int | None = None
    for marker in MARKER.finditer(data, start, end):
        if opened is not None:
            problems.add(opened, "a block that is broken or not a certificate")
        if marker[1] == b"BEGIN":
            opened = marker.start()
        else:
            if opened is None:
                problems.add(marker.start(), "the end of a block that has no beginning")
            opened = None
    if opened is not None:
        problems.add(opened, "a block that has no end")


def torn_start(data: bytes) -> int | None:
    """Where the unfinished block at the end of the text begins: someone may still be writing it.

    The first write can stop anywhere, so a part of the BEGIN line counts as well.
    """
    begin, end = data.rfind(BEGIN), data.rfind(END)
    if begin > end:
        return begin
    rest_from = 0 if end < 0 else end + len(END)
    rest = data[max(rest_from, len(data) - len(BEGIN)) :]
    for length in range(min(len(BEGIN) - 1, len(rest)), 0, -1):
        if rest.endswith(BEGIN[:length]):
            return len(data) - length
    return None


def before_torn(data: bytes, addition: bytes) -> bytes:
    """The text with `addition` put in before its torn tail, so that the tail can still grow."""
    torn = torn_start(data)
    cut = len(data) if torn is None else torn
    return lines_end(data[:cut]) + lines_end(addition) + data[cut:]


def lines_end(data: bytes) -> bytes:
    """The text with a newline at its end, unless it is empty."""
    return data if not data or data.endswith(b"\n") else data + b"\n"


def spans(data: bytes, unwanted: str) -> list[tuple[int, int]]:
    """Where the text is about that fingerprint: its blocks, each with the end of its line.

    Text that is left over when no block at all is left was about the removed ones: it goes too,
    since only an empty store is EMPTY.
    """
    found = []
    for block in CERTIFICATE.finditer(data):
        try:
            name = fingerprint(body_to_der(block["body"]))
        except ValueError:
            continue
        if name == unwanted:
            found.append((block.start(), _after_newline(data, block.end())))
    rest = _cut(data, found)
    if found and not MARKER.search(rest) and torn_start(rest) is None:
        return [(0, len(data))]
    return found


def without(data: bytes, unwanted: str) -> bytes:
    """The text without every block of that fingerprint, and without what was blanked out of it
    when there was no room to write it anew."""
    rest = _cut(data, spans(data, unwanted))
    torn = torn_start(rest)
    if torn is None:
        return BLANKED.sub(b"\n", rest)
    return BLANKED.sub(b"\n", rest[:torn]) + rest[torn:]  # whose other half may still come


def _cut(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept, at = [], 0
    for start, end in spans:
        kept.append(data[at:start])
        at = end
    return b"".join([*kept, data[at:]])


def _after_newline(data: bytes, offset: int) -> int:
    for newline in (b"\r\n", b"\n"):
        if data.startswith(newline, offset):
            return offset + len(newline)
    return offset


@dataclass(frozen=True)
class Growth:
    """What a replaced file grew: `grown` continues `torn`, the tail that was there before.

    `taken` is how much of the file is then taken over.
    """

    torn: bytes
    grown: bytes
    taken: int


def growth(old: bytes, size: int, final: bool) -> Growth:
    """What was appended beyond the first `size` bytes and may be taken over now.

    That is all up to a block that is still unfinished; simply all when `final`.
    """
    torn_at = torn_start(old[:size])
    torn = b"" if torn_at is None else old[torn_at:size]
    # Newlines between the halves of a block may be where our own addition was blanked out.
    rest = old[size:].lstrip(b"\n") if torn else old[size:]
    unfinished = None if final else torn_start(torn + rest)
    if unfinished is None:
        return Growth(torn, rest, len(old))
    whole = max(0, unfinished - len(torn))
    return Growth(torn, rest[:whole], len(old) - len(rest) + whole if whole else size)
