"""The text of the trust store: concatenated PEM certificates, written by us and by hand.

Pure. People append with `cat … | sudo tee -a …`, so much is tolerated: text between blocks, CRLF,
a missing newline before a block. A block that is broken is reported with its line, never erased.
"""

import re
from collections.abc import Callable, Container
from typing import NamedTuple

from protocol.pem import CERTIFICATE, body_to_der, fingerprint

BEGIN = b"-----BEGIN CERTIFICATE-----"
END = b"-----END CERTIFICATE-----"
MARKER = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")

MAX_PROBLEMS = 100  # enough to see what is wrong; a file full of rubbish must not fill the journal


class Contents(NamedTuple):
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


class Change(NamedTuple):
    """Bytes to overwrite in place: at `start` the text holds `old`, and `new` is as long."""

    start: int
    old: bytes
    new: bytes


class Names(dict[bytes, str]):
    """Fingerprints by the body of their block, each computed once for several looks at a text;
    empty for a body that is not base64."""

    def __missing__(self, body: bytes) -> str:
        try:
            self[body] = found = fingerprint(body_to_der(body))
        except ValueError:
            self[body] = found = ""
        return found


def removal(data: bytes, unwanted: Container[str], names: Names) -> list[Change]:
    """What to overwrite so that these fingerprints are trusted no longer and no other becomes so.

    A blanked block lets the two halves of a block around it join. If that would make a client
    trusted who was not, a note is put there instead of newlines, which keeps the halves apart.
    """
    if not _spans(data, unwanted, names):
        return []
    wanted = {each for each in _fingerprints(data, names) if each not in unwanted}
    text, spans = _without(data, unwanted, names, _newlines)
    if _fingerprints(text, names) != wanted:
        text, spans = _without(data, unwanted, names, _note)
    if spans and not MARKER.search(text) and torn_start(text) is None:
        # No block is left: the remaining text was about the removed ones, and only an empty
        # store is EMPTY.
        text, spans = _newlines(len(data)), [(0, len(data))]
    return [Change(start, data[start:end], text[start:end]) for start, end in spans]


def _without(
    data: bytes, unwanted: Container[str], names: Names, filler: Callable[[int], bytes]
) -> tuple[bytes, list[tuple[int, int]]]:
    """Text of the same length, and where it differs, in an order in which no change undoes another.

    Repeated, as a blanked block may join two halves of another one of the same client.
    """
    changed: list[tuple[int, int]] = []
    text = bytearray(data)
    while spans := _spans(bytes(text), unwanted, names):
        for start, end in spans:
            text[start:end] = filler(end - start)
        changed = [each for each in changed if not _within(each, spans)] + spans
    return bytes(text), changed


def _within(span: tuple[int, int], others: list[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in others)


def _newlines(length: int) -> bytes:
    return b"\n" * length


def _note(length: int) -> bytes:
    """A line that is neither base64 nor a marker."""
    return b"#" * (length - 1) + b"\n"


def _spans(data: bytes, unwanted: Container[str], names: Names) -> list[tuple[int, int]]:
    """Where the blocks of these fingerprints are, each with the end of its line."""
    return [
        (block.start(), _after_newline(data, block.end()))
        for block in CERTIFICATE.finditer(data)
        if names[block["body"]] in unwanted
    ]


def _fingerprints(data: bytes, names: Names) -> set[str]:
    return {names[block["body"]] for block in CERTIFICATE.finditer(data)} - {""}


def _after_newline(data: bytes, offset: int) -> int:
    for newline in (b"\r\n", b"\n"):
        if data.startswith(newline, offset):
            return offset + len(newline)
    return offset
