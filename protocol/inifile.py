"""The INI dialect of Qt's QSettings, in which settings files are kept, without losing a line.

Pure text in and out. Every line that is not asked to change is written back as it was read:
comments, unknown sections and keys, and garbage. Where a key stands twice, the last one counts,
as it does for Qt.
"""

from __future__ import annotations

GENERAL = "General"

_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPED = {value: "\\" + letter for letter, value in _LETTERS.items()} | {
    '"': '\\"',
    "\\": "\\\\",
}
_HEX = frozenset("0123456789abcdefABCDEF")
_OCTAL = frozenset("01234567")
_PLAIN_IN_KEYS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")
_NEEDS_QUOTES = frozenset(";,=")
_COMMENTS = (";", "#")
_BLANKS = " \t"
_LARGEST_UNIT = 0xFFFF  # an escape names one UTF-16 code unit


class IniFile:
    """The lines of one file, with reading and writing of single values."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self._lines = lines if lines is not None else []

    @classmethod
    def parse(cls, text: str) -> IniFile:
        return cls(text.split("\n"))

    def to_text(self) -> str:
        return "\n".join(self._lines)

    def get(self, key: str, section: str = GENERAL) -> str | None:
        """The value of a key, always encodable as UTF-8; None when the key is absent."""
        found = self._find(key, section)
        return _decode_value(self._lines[found[-1]].partition("=")[2]) if found else None

    def set(self, key: str, value: str, section: str = GENERAL) -> None:
        line = f"{_encode_key(key)}={_encode_value(value)}"
        found = self._find(key, section)
        if found:
            self._lines[found[-1]] = line
            for index in reversed(found[:-1]):
                del self._lines[index]
        else:
            self._insert(line, section)

    def keys(self, section: str = GENERAL) -> list[str]:
        return list(dict.fromkeys(key for _, place, key in self._entries() if place == section))

    def unread(self) -> list[int]:
        """The numbers, from 1, of lines that are neither heading, setting nor comment."""
        return [
            number
            for number, line in enumerate(self._lines, 1)
            if line.strip() and not line.lstrip().startswith(_COMMENTS)
            if _heading(line) is None and "=" not in line
        ]

    def _entries(self) -> list[tuple[int, str, str]]:
        """(line number, section, key) of each line that holds a value."""
        entries: list[tuple[int, str, str]] = []
        section = GENERAL  # what stands before the first heading belongs to no group, as here
        for index, line in enumerate(self._lines):
            heading = _heading(line)
            if heading is not None:
                section = heading
                continue
            key, equals, _ = line.partition("=")
            if equals and not line.lstrip().startswith(_COMMENTS):
                entries.append((index, section, _decode_key(key.strip())))
        return entries

    def _find(self, key: str, section: str) -> list[int]:
        return [index for index, place, name in self._entries() if (place, name) == (section, key)]

    def _insert(self, line: str, section: str) -> None:
        """Puts a new line behind the last one of its section, which is made when missing."""
        after = None
        for index, existing in enumerate(self._lines):
            if _heading(existing) == section:
                after = index
        if after is None:
            self._append_section(section)
            after = len(self._lines) - 2  # the heading: behind it is only the final newline
        else:
            after = self._last_line_of_section(after)
        self._lines.insert(after + 1, line)

    def _last_line_of_section(self, heading: int) -> int:
        last = heading
        for index in range(heading + 1, len(self._lines)):
            if _heading(self._lines[index]) is not None:
                break
            if self._lines[index].strip():
                last = index
        if last == len(self._lines) - 1:
            self._lines.append("")  # the file did not end with a newline
        return last

    def _append_section(self, section: str) -> None:
        while self._lines and not self._lines[-1].strip():
            self._lines.pop()
        if self._lines:
            self._lines.append("")
        name = GENERAL if section == GENERAL else _encode_section(section)
        self._lines.extend((f"[{name}]", ""))


def _heading(line: str) -> str | None:
    text = line.strip()
    if not text.startswith("["):
        return None
    name = text[1:].partition("]")[0].strip()
    if name.lower() == "general":
        return GENERAL
    # Qt writes a group that is really called General with a percent sign before it.
    return name if name.lower() == "%general" else _decode_key(name)


def _encode_section(section: str) -> str:
    return section if section.lower() == "%general" else _encode_key(section)


def _decode_key(text: str) -> str:
    out: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        start, width = (
            (position + 2, 4)
            if text[position + 1 : position + 2] == "U"
            else (
                position + 1,
                2,
            )
        )
        digits = text[start : start + width]
        if char == "%" and len(digits) == width and _HEX.issuperset(digits):
            out.append(chr(int(digits, 16)))
            position = start + width
            continue
        out.append("/" if char == "\\" else char)
        position += 1
    return _encodable("".join(out))


def _encode_key(key: str) -> str:
    return "".join(_encode_key_unit(unit) for unit in _units(key))


def _encode_key_unit(unit: int) -> str:
    char = chr(unit)
    if char in _PLAIN_IN_KEYS:
        return char
    if char == "/":
        return "\\"
    return f"%{unit:02X}" if unit <= 0xFF else f"%U{unit:04X}"


def _decode_value(text: str) -> str:
    text = _unescape(text.strip(_BLANKS + "\r"))
    if text == "@Invalid()":
        return ""
    if text.startswith("@String(") and text.endswith(")"):
        return text[8:-1]
    return text[1:] if text.startswith("@@") else text


def _unescape(text: str) -> str:
    out: list[str] = []
    quoted = False
    position = 0
    kept = 0  # blanks up to here were quoted or escaped, so they are not trimmed
    while position < len(text):
        char = text[position]
        position += 1
        if char == '"':
            quoted = not quoted
            kept = len(out)
        elif char == ";" and not quoted:
            break  # a comment up to the end of the line
        elif char == "\\":
            value, position = _escape_at(text, position)
            out.append(value)
            kept = len(out)
        else:
            out.append(char)
            kept = len(out) if quoted or char not in _BLANKS else kept
    return _encodable("".join(out[:kept]))


def _escape_at(text: str, position: int) -> tuple[str, int]:
    """What the escape behind a backslash stands for, and where the text goes on."""
    letter = text[position : position + 1]
    if letter == "x":
        return _number_at(text, position + 1, _HEX, 16)
    if letter and letter in _OCTAL:
        return _number_at(text, position, _OCTAL, 8)
    return _LETTERS.get(letter, letter), position + 1


def _number_at(text: str, start: int, digits: frozenset[str], base: int) -> tuple[str, int]:
    end = start
    while end < len(text) and text[end] in digits:
        end += 1
    number = int(text[start:end][-16:] or "0", base) & _LARGEST_UNIT
    return chr(number), end


def _encode_value(value: str) -> str:
    if value.startswith("@"):
        value = "@" + value  # a single one introduces Qt's typed values
    out: list[str] = []
    after_number = False
    for unit in _units(value):
        char = chr(unit)
        if char in _ESCAPED:
            out.append(_ESCAPED[char])
            after_number = False
        elif not " " <= char <= "~" or (after_number and char in _HEX):
            out.append(f"\\x{unit:x}")  # a digit right behind would be read as part of it
            after_number = True
        else:
            out.append(char)
            after_number = False
    text = "".join(out)
    if not _NEEDS_QUOTES.isdisjoint(text) or text.strip(" ") != text:
        return f'"{text}"'
    return text


def _units(text: str) -> list[int]:
    data = text.encode("utf-16-le", "surrogatepass")
    return [data[index] | data[index + 1] << 8 for index in range(0, len(data), 2)]


def _encodable(text: str) -> str:
    """Joins surrogate pairs; a lone half, or a byte that was no UTF-8, becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
