"""What a value must look like, and what is wrong with one that does not, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class Misshapen(ValueError):
    """The text is a sentence's end, and names the place, not the value: it may be a secret."""


@dataclass(frozen=True)
class Shape:
    """One or several of these; what is None can't be."""

    words: str  # what it must be: "a text or a list of texts"
    texts: bool = False
    numbers: bool = False
    switches: bool = False  # true and false
    off: bool = False  # false alone
    nothing: bool = False  # null
    items: Shape | None = None  # of a list
    keys: Mapping[str, Shape] = field(default_factory=dict)  # of a mapping; others may be anything
    mappings: bool = False
    required: tuple[tuple[str, ...], ...] = ()  # of each, one must be among a mapping's keys

    def check(self, value: object, place: str) -> None:
        """`place` names the value. Raises Misshapen. A value that holds itself is none to follow:
        shapes end sooner."""
        match value:
            case None:
                fits = self.nothing
            case bool():
                fits = self.switches or (self.off and not value)
            case str():
                fits = self.texts
            case int() | float():
                fits = self.numbers
            case list():
                fits = self.items is not None
            case dict():
                fits = self.mappings
            case _:  # dates, sets and bytes, which cloud-init has its own ways with
                return
        if not fits:
            raise Misshapen(f"`{place}` must be {self.words}. It is {_named(value)}.")
        if isinstance(value, list) and self.items is not None:
            for number, item in enumerate(value):
                self.items.check(item, f"{place}[{number}]")
        elif isinstance(value, dict):
            self._check_keys(value, place)

    def _check_keys(self, value: Mapping[object, object], place: str) -> None:
        for names in self.required:
            if not any(name in value for name in names):
                raise Misshapen(f"`{place}` has no `{names[0]}`.")
        for key, shape in self.keys.items():
            if key in value:
                shape.check(value[key], f"{place}.{key}" if place else key)


def _named(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "a number"
