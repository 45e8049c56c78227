"""What is kept as JSON is checked when it is made, changed and read, for any JSON."""

from __future__ import annotations

import json
from enum import Enum
from itertools import count
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.models.checks import at_least, at_most_long, between, check_of
from multipassd.models.invalid import Invalid
from multipassd.models.model import Model, made


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Part(Model, closed=True):
    """A value in another."""

    name: str
    size: Annotated[int, at_least(1)] = 1


class Whole(Model, closed=True):
    """With a field of each kind."""

    format: Literal[1] = 1
    text: str
    number: int = 0
    share: Annotated[int, between(0, 100)] = 0
    moment: float = 0.0
    on: bool = False
    colour: Colour = Colour.RED
    short: Annotated[str, at_most_long(3)] = ""
    part: Part | None = None
    parts: tuple[Part, ...] = ()
    pair: tuple[int, str] = (0, "")
    words: dict[str, str] = {}  # noqa: RUF012  never changed in place
    serial: int = made(default_factory=count(1).__next__)


class Open(Model):
    """Passes over what it lacks."""

    name: str = ""
    part: Part | None = None


texts = st.text(st.characters(exclude_categories=["Cs"]))
part_values = st.builds(Part, name=texts, size=st.integers(min_value=1))
wholes = st.builds(
    Whole,
    text=texts,
    number=st.integers(),
    share=st.integers(0, 100),
    moment=st.floats(allow_nan=False, allow_infinity=False),
    on=st.booleans(),
    colour=st.sampled_from(Colour),
    short=texts.map(lambda text: text[:3]),
    part=st.none() | part_values,
    parts=st.lists(part_values, max_size=3).map(tuple),
    pair=st.tuples(st.integers(), texts),
    words=st.dictionaries(texts, texts, max_size=3),
)


@given(wholes, st.sampled_from([None, 1]), st.booleans())
def test_what_was_written_is_read_as_it_was(
    whole: Whole, indent: int | None, defaults: bool
) -> None:
    written = whole.to_json(indent, defaults=defaults)
    assert Whole.from_json(written) == whole
    assert json.loads(written) is not None and (indent or b"\n" not in written)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        Whole.from_json(data)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Whole.__annotations__, "self", "other"]), json_values))
def test_any_object_is_a_value_that_can_be_written_or_invalid(found: dict[str, Any]) -> None:
    try:
        whole = Whole.from_json(json.dumps(found))
    except Invalid as error:
        assert str(error).startswith("it")
    else:
        assert Whole.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty"),
        (" ", "it is cut off or not JSON"),
        ('{"text": "', "it is cut off or not JSON"),
        (b"\xff\xfe{\0}\0", "it is cut off or not JSON"),
        (b'\xef\xbb\xbf{"text": ""}', "it is cut off or not JSON"),
        ("[" * 200_000, "it is cut off or not JSON"),
        ('{"text": "", "number": ' + "9" * 10_000 + "}", "it is cut off or not JSON"),
        ("[]", "it holds no JSON object"),
        ("null", "it holds no JSON object"),
        ("{}", "it lacks text"),
        ('{"text": "", "self": 1}', "it has self, which is unknown"),
        ('{"text": "", "{}": 1}', "it has {}, which is unknown"),
        ('{"text": "", "part": {"size": 1}}', "it lacks part.name"),
        ('{"text": "", "parts": [{"name": ""}, {"name": "", "x": 1}]}',
         "it has parts.1.x, which is unknown"),
        ('{"text": "", "parts": [{"name": "", "size": 0}]}', "its parts.0.size is not valid"),
        ('{"text": "", "words": {"a": 1}}', "its words.a is not valid"),
        ('{"text": 1, "number": "x"}', "its text is not valid"),
    ],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_the_reason_names_the_place_and_not_the_value(text: str | bytes, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        Whole.from_json(text)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "2"), ("format", "true"), ("format", "1.0"), ("text", "null"), ("text", "1"),
        ("text", r'"\ud800"'), ("number", '"5"'), ("number", "1.0"), ("number", "true"),
        ("share", "101"), ("share", "-1"), ("moment", '"1"'), ("moment", "NaN"),
        ("moment", "1e999"), ("moment", "1" + "0" * 400), ("moment", "true"), ("on", "1"),
        ("on", '"true"'), ("colour", '"green"'), ("colour", "[]"), ("colour", "null"),
        ("short", '"1234"'), ("part", "[]"), ("part", '""'), ("parts", "{}"), ("parts", '"ab"'),
        ("parts", "[null]"), ("pair", "[1]"), ("pair", '[1, "", 2]'), ("pair", '["", 1]'),
        ("words", "[]"), ("words", r'{"\udfff": ""}'),
    ],
)  # fmt: skip
def test_a_value_of_another_type_or_beyond_its_limits_is_invalid(field: str, value: str) -> None:
    fields = {"text": '""', field: value}
    text = ", ".join(f'"{name}": {each}' for name, each in fields.items())
    with pytest.raises(Invalid, match=rf"its {field}\b.* is not valid"):
        Whole.from_json(f"{{{text}}}")


def test_an_integer_that_was_written_for_a_float_is_read_as_one() -> None:
    whole = Whole.from_json('{"text": "", "moment": 5}')
    assert type(whole.moment) is float and b'"moment":5.0' in whole.to_json()


def test_a_value_is_checked_when_it_is_made_and_when_it_is_changed() -> None:
    with pytest.raises(Invalid, match="its size"):
        Part(name="a", size=0)
    with pytest.raises(Invalid, match="it has x"):
        Part(name="a", x=1)  # type: ignore[call-arg]
    part = Part(name="a")
    with pytest.raises(Invalid, match="its size"):
        part.replace(size=0)
    with pytest.raises(KeyError):
        part.replace(x=0)
    assert part.replace(size=2) == Part(name="a", size=2) and part.size == 1


def test_a_value_is_never_changed_in_place() -> None:
    part = Part(name="a")
    with pytest.raises(AttributeError):
        part.size = 2  # type: ignore[misc]
    assert {part, Part(name="a")} == {part} and repr(part) == "Part(name='a', size=1)"


def test_each_value_gets_a_new_default_where_one_is_made() -> None:
    assert Whole(text="").serial < Whole(text="").serial


def test_an_open_model_passes_over_what_it_lacks_but_not_within_a_closed_one() -> None:
    assert Open.from_json('{"name": "a", "other": [1]}') == Open(name="a")
    with pytest.raises(Invalid):
        Open.from_json('{"part": {"name": "", "other": 1}}')


def test_defaults_are_left_out_at_every_depth() -> None:
    assert Open(part=Part(name="a")).to_json(defaults=False) == b'{"part":{"name":"a"}}'
    assert Open().to_json(defaults=False) == b"{}"


@pytest.mark.parametrize("annotation", [bytes, int | str, int | str | None, object, Any])
def test_an_annotation_without_a_check_is_an_error_of_the_program(annotation: Any) -> None:
    with pytest.raises(TypeError, match="no check is known"):
        check_of(annotation, lambda _: None)
