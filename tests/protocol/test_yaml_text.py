"""YAML from strangers: values or a sentence, never anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import yaml_text
from protocol.yaml_text import Unreadable

TAGS = (
    "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary", "!!set", "!!omap", "!!pairs",
    "!!map", "!!seq", "!!str", "!!merge", "!!value", "!!python/none", "!!python/tuple", "!x", "!",
    "!!python/object/apply:os.system", "!<tag:yaml.org,2002:int>", "!!x%zz",
)  # fmt: skip
VALUES = (
    "", '""', "x", "'_'", "0x", "0b", "-", "+", ":", "1:", "1:x", ".", "2024-99-99", "[]", "{}",
    "[a]", "{a: b}", "[[a]]", "{? [a] : b}", "é", "!!int", "~", "=", "<<", '"\\ud800"', "0o9",
    "9" * 900, "-.inf", "1e999999",
)  # fmt: skip
SPECIAL = (
    "? [a]\n: b", "? {a: b}\n: c", "&a {*a : b}", "&a [*a]", "a: *nothing", "<<: 3", "{<<: [a]}",
    "a: &a {<<: *a}", "%YAML 9.9\n---\na", "%TAG ! x", "--- a\n--- b", "\ufeff", "a: \x00",
    "\ud800", "- " * 3000 + "a", "[" * 3000, "{a: " * 3000, "!!int " * 3, "a: >9\n  b", "\t",
)  # fmt: skip


def tried(text: str) -> None:
    try:
        yaml_text.load(text)
    except Unreadable as error:
        assert str(error).endswith(".") and str(error).isprintable()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("value", VALUES)
def test_no_tag_on_no_value_ends_in_a_traceback(tag: str, value: str) -> None:
    for text in (f"{tag} {value}", f"a: {tag} {value}", f"{tag} {value}: a", f"- {tag} {value}\n"):
        tried(text)


@pytest.mark.parametrize("text", SPECIAL, ids=range(len(SPECIAL)))
def test_no_other_oddity_does(text: str) -> None:
    tried(text)


WORDS = st.sampled_from(
    [*TAGS, *VALUES, "&a ", "*a", "? ", ": ", "- ", "\n", "  ", "<<: ", "[", "]", "{", "}", ", ",
     "|", ">", "#", "---", "...", "'", '"', "%", "@", "`"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=30).map("".join) | st.text(max_size=60))
def test_nothing_that_can_be_said_does(text: str) -> None:
    tried(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('a: !!int ""', "the value in line 1, column 4 is no !!int."),
        ("a: 1\nb: !!bool maybe", "the value in line 2, column 4 is no !!bool."),
        ("day: 2024-99-99", "the value in line 1, column 6 is no !!timestamp."),
        ("a:\n  b: 1\n  b: 2", "the key `b` is there twice, in line 2 and line 3"),
    ],
)
def test_the_place_is_named_and_not_the_value(text: str, why: str) -> None:
    with pytest.raises(Unreadable) as error:
        yaml_text.load(text)
    assert why in str(error.value) and "maybe" not in str(error.value)


def test_equal_keys_apart_are_no_duplicates() -> None:
    text = "a: {k: 1}\nb: {k: 2}\n'1': x\n1: y\nc: &c {k: 3}\nd: {<<: *c, k: 4}\n"
    assert yaml_text.load(text)["d"] == {"k": 4}
