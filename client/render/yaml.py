"""YAML in the block style that Multipass writes; None is `~`. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Value = str | int | None | Sequence["Value"] | Mapping[str, "Value"]

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_INDICATORS = frozenset(",[]{}#&*!|>'\"%@`")  # have a meaning at the start of a scalar
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def render(document: Mapping[str, Value]) -> str:
    """An empty document is one newline."""
    return "\n".join(_mapping(document, "")) + "\n"


def _mapping(mapping: Mapping[str, Value], indent: str) -> list[str]:
    lines = []
    for key, value in mapping.items():
        head = f"{indent}{scalar(key)}:"
        if value is None or isinstance(value, str | int):
            lines.append(f"{head} {_plain(value)}")
        else:
            lines.append(head)
            lines += _block(value, indent + "  ")
    return lines


def _block(value: Value, indent: str) -> list[str]:
    if isinstance(value, dict):
        return _mapping(value, indent) or [f"{indent}{{}}"]
    assert not (value is None or isinstance(value, str | int))
    lines = []
    for item in value:
        if item is None or isinstance(item, str | int):
            lines.append(f"{indent}- {_plain(item)}")
        else:
            first, *others = _block(item, indent + "  ")
            lines += [f"{indent}- {first.strip()}", *others]
    return lines or [f"{indent}[]"]


def _plain(value: str | int | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "~" if value is None else scalar(str(value))


def scalar(text: str) -> str:
    """Plain if YAML reads it back as the same text, else in double quotes."""
    if _is_plain(text):
        return text
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _is_plain(text: str) -> bool:
    return not (
        text in _NULLS
        or ":" in text
        or " #" in text
        or text != text.strip(" ")
        or text[0] in _INDICATORS
        or (text[0] in "-?" and text[1:2] in ("", " "))
        or any(character < " " or character == "\x7f" for character in text)
    )


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    control = character < " " or character == "\x7f"
    return f"\\x{ord(character):02x}" if control else character
