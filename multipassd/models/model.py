"""The base class of values with typed fields that are kept, or sent, as JSON.

A subclass lists its fields with annotations, and defaults where it has any; `checks.py` says which
annotations there are. Fields are given by name, and checked when a value is made, changed or read.
The checks are made at a class's first use, as few of the classes are used in each process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar, Self, dataclass_transform, get_type_hints

from multipassd.models import checks
from multipassd.models.checks import Check
from multipassd.models.invalid import CUT_OFF, EMPTY, LACKS, UNKNOWN, Invalid

_NONE = object()  # the default of a field without one


class Made:
    """A default that is made for each value."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def made(*, default_factory: Callable[[], Any]) -> Any:
    """The default of a field that needs a new one for each value."""
    return Made(default_factory)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(made,))
class Model:
    """Never changed in place. `closed`: JSON with fields that the class lacks is not valid; others
    pass over them."""

    _closed: ClassVar[bool] = False
    _checks: ClassVar[dict[str, Check]] = {}  # in the order of the fields; empty: not made yet

    def __init_subclass__(cls, *, closed: bool = False) -> None:
        cls._closed = closed
        cls._checks = {}

    def __init__(self, /, **fields: Any) -> None:
        """Raises Invalid."""
        self.__dict__.update(_checked(type(self), fields))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Raises Invalid."""
        found = _parsed(text)
        if not isinstance(found, dict):
            raise Invalid
        return cls(**found)

    def to_json(self, indent: int | None = None, *, defaults: bool = True) -> bytes:
        """As UTF-8, on one line without `indent`. Without `defaults`, fields are left out, at every
        depth, that have their class's default."""
        plain = _plain if defaults else _without_defaults
        return json.dumps(
            self,
            default=plain,
            indent=indent,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":") if indent is None else (",", ": "),
        ).encode()

    def replace(self, **fields: Any) -> Self:
        """The same with other values of these fields. Raises Invalid."""
        kind = type(self)
        known = _checks_of(kind)
        changed = {name: _check(name, known[name], each) for name, each in fields.items()}
        new = object.__new__(kind)
        new.__dict__.update(self.__dict__ | changed)
        return new

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} can't be set")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({fields})"


def _checks_of(kind: type[Model]) -> dict[str, Check]:
    if not kind._checks:
        hints = get_type_hints(kind, include_extras=True)
        found = {name: checks.check_of(hints[name], _of_model) for name in kind.__annotations__}
        kind._checks = found  # as a whole, as threads make values at the same time
    return kind._checks


def _of_model(kind: type) -> Check | None:
    if not (isinstance(kind, type) and issubclass(kind, Model)):
        return None

    def model(value: Any) -> Model:
        if isinstance(value, kind):
            return value
        if not isinstance(value, dict):
            raise Invalid
        return kind(**value)

    return model


def _checked(kind: type[Model], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a value. The first that is wrong counts."""
    found = {}
    for name, check in _checks_of(kind).items():
        if name in given:
            found[name] = _check(name, check, given[name])
        elif name in kind.__dict__:
            default = kind.__dict__[name]
            found[name] = default.make() if isinstance(default, Made) else default
        else:
            raise Invalid(LACKS, (name,))
    if kind._closed:
        for name in given:
            if name not in found:
                raise Invalid(UNKNOWN, (name,))
    return found


def _check(name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except Invalid as error:
        raise error.within(name) from None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else vars(value)


def _without_defaults(value: Any) -> Any:
    if not isinstance(value, Model):
        return _plain(value)
    known = type(value).__dict__
    return {name: each for name, each in vars(value).items() if each != known.get(name, _NONE)}


def _parsed(text: bytes | str) -> Any:
    if not text:
        raise Invalid(EMPTY)
    try:
        return json.loads(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError):  # also a number of thousands of digits
        raise Invalid(CUT_OFF) from None
