"""The alias file's content, and the forms of `aliases`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.aliases.table import Alias, Aliases, NotAliases, parse
from client.errors import UsageError
from client.render import aliases as rendering

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
RECORDS = st.builds(Alias, TEXTS, TEXTS, st.sampled_from(["map", "default"]))
CONTEXTS = st.dictionaries(
    TEXTS, st.dictionaries(TEXTS, RECORDS, min_size=1, max_size=4), max_size=4
)


def some() -> Aliases:
    made = Aliases()
    made.add("ls", Alias("one", "ls", "map"))
    made.prefer("work")
    made.add("build", Alias("two", "make: all", "default"))
    made.prefer("empty")
    made.prefer("work")
    return made


@given(CONTEXTS, TEXTS)
def test_what_is_written_is_read_back(contexts: dict[str, dict[str, Alias]], active: str) -> None:
    made = Aliases()
    made.contexts |= contexts
    made.prefer(active)
    back = parse(made.text())
    expected = made.document()
    expected["contexts"] = {
        name: each for name, each in expected["contexts"].items() if each or name == active
    }
    assert back.document() == expected
    assert json.loads(made.text()) == expected


@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXTS,
                    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))  # fmt: skip
def test_any_json_is_read_or_refused(document: object) -> None:
    try:
        parse(json.dumps(document))
    except (NotAliases, UsageError):
        pass


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except NotAliases:
        pass


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_has_the_default_context(text: str) -> None:
    assert parse(text).document() == {"active-context": "default", "contexts": {"default": {}}}


def test_the_form_before_contexts_is_read() -> None:
    found = parse('{"ls": {"instance": "one", "command": "ls"}}')
    assert found.active == "default"
    assert found.document()["contexts"]["default"]["ls"]["working-directory"] == "default"


def test_an_unknown_working_directory_is_an_error() -> None:
    with pytest.raises(UsageError):
        parse('{"ls": {"instance": "one", "command": "ls", "working-directory": "here"}}')


def test_an_alias_is_looked_up_in_the_active_context_then_everywhere() -> None:
    made = some()
    made.add("ls", Alias("two", "ls"))
    found = {word: made.find(word) for word in ("ls", "default.ls", "build", "other.ls", "no")}
    assert {word: alias and alias.instance for word, alias in found.items()} == {
        "ls": "two", "default.ls": "one", "build": "two", "other.ls": None, "no": None,
    }  # fmt: skip
    made.prefer("empty")
    assert made.find("ls") is None  # there are two


def test_a_renamed_instance_keeps_its_aliases() -> None:
    made = some()
    made.prefer("two")
    made.rename_instance("two", "three")
    assert made.active == "three"
    assert made.contexts["work"]["build"].instance == "three"
    assert "two" not in made.contexts


def test_the_table_marks_the_active_context() -> None:
    assert rendering.render(some(), "table") == (
        "Alias   Instance   Command     Context   Working directory\n"
        "ls      one        ls          default   map\n"
        "build   two        make: all   work*     default\n"
    )
    assert rendering.render(Aliases(), "table") == "No aliases defined.\n"


def test_the_csv_has_the_directory_before_the_context() -> None:
    assert rendering.render(some(), "csv") == (
        "Alias,Instance,Command,Working directory,Context\n"
        "ls,one,ls,map,default\n"
        "build,two,make: all,default,work*\n"
    )


def test_json_and_yaml_have_empty_contexts() -> None:
    assert '        "empty": {\n        },\n' in rendering.render(some(), "json")
    assert rendering.render(some(), "yaml") == (
        "active_context: work\n"
        "aliases:\n"
        "  default:\n"
        "    - alias: ls\n"
        "      command: ls\n"
        "      instance: one\n"
        "      working-directory: map\n"
        "  empty: ~\n"
        "  work:\n"
        "    - alias: build\n"
        '      command: "make: all"\n'
        "      instance: two\n"
        "      working-directory: default\n"
    )
    assert rendering.render(Aliases(), "yaml") == (
        "active_context: default\naliases:\n  default: ~\n"
    )
