"""Checks by type annotation: each takes what JSON or a caller gives and returns the field's value.

Strict: no text counts as a number and no number as a truth value. Only an integer counts as a
`float`, as JSON does not tell them apart, and a list as a tuple. Limits stand in `Annotated`, as
functions that answer whether a value of the type is allowed. Pure.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from enum import Enum
from math import isfinite
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from multipassd.models.invalid import Invalid

Check = Callable[[Any], Any]  # raises Invalid


def at_least(least: int) -> Callable[[int], bool]:
    return lambda number: number >= least


def between(least: int, most: int) -> Callable[[int], bool]:
    return lambda number: least <= number <= most


def at_most_long(most: int) -> Callable[[str], bool]:
    """In characters."""
    return lambda text: len(text) <= most


def check_of(annotation: Any, of_model: Callable[[type], Check | None]) -> Check:
    """`of_model`: the check for a model's class, None for another class."""
    inner = [check_of(each, of_model) for each in _inner(annotation)]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _limited(inner[0], annotation.__metadata__)
    if origin is Literal:
        return _one_of(get_args(annotation))
    if origin is types.UnionType or origin is Union:
        return _optional(inner[0])
    if origin is tuple:
        return _sequence(inner[0]) if Ellipsis in get_args(annotation) else _fixed(inner)
    if origin is dict:
        return _mapping(*inner)
    if check := _PLAIN.get(annotation) or of_model(annotation):
        return check
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _member(annotation)
    raise TypeError(f"no check is known for {annotation}")


def _inner(annotation: Any) -> list[Any]:
    """The annotations that this one is made of."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return []
    if origin is Annotated:
        return [parts[0]]
    inner = [each for each in parts if each is not Ellipsis and each is not types.NoneType]
    if origin in {types.UnionType, Union} and (len(inner) != 1 or len(parts) != 2):
        raise TypeError(f"no check is known for {annotation}")
    return inner


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a pair, which could not be written again
            raise Invalid from None
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Invalid
    return value


def _number(value: Any) -> float:
    try:
        number = value if isinstance(value, float) else float(_integer(value))
    except OverflowError:
        raise Invalid from None
    if not isfinite(number):
        raise Invalid
    return number


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid
    return value


_PLAIN: dict[Any, Check] = {str: _text, int: _integer, float: _number, bool: _truth}


def _limited(check: Check, limits: Iterable[Callable[[Any], object]]) -> Check:
    def limited(value: Any) -> Any:
        value = check(value)
        for is_allowed in limits:
            if not is_allowed(value):
                raise Invalid
        return value

    return limited


def _one_of(allowed: tuple[Any, ...]) -> Check:
    def literal(value: Any) -> Any:
        for each in allowed:
            if type(value) is type(each) and value == each:
                return each
        raise Invalid

    return literal


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _member(kind: type[Enum]) -> Check:
    def member(value: Any) -> Enum:
        try:
            return kind(value)
        except ValueError:
            raise Invalid from None

    return member


def _sequence(check: Check) -> Check:
    def sequence(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Invalid
        return tuple(_at(place, check, each) for place, each in enumerate(value))

    return sequence


def _fixed(checks: list[Check]) -> Check:
    def fixed(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) != len(checks):
            raise Invalid
        pairs = zip(checks, value, strict=True)
        return tuple(_at(place, check, each) for place, (check, each) in enumerate(pairs))

    return fixed


def _mapping(of_key: Check, of_value: Check) -> Check:
    def mapping(value: Any) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise Invalid
        return {_at(key, of_key, key): _at(key, of_value, each) for key, each in value.items()}

    return mapping


def _at(place: str | int, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except Invalid as error:
        raise error.within(place) from None
