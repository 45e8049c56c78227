from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.inifile import IniFile

WRITTEN_BY_QT = """\
[General]
local.driver=qemu
local.passphrase=f28cb995

[geometry]
Size=@Size(10 20)
"""

keys = st.text(min_size=1, max_size=20)
values = st.text(max_size=40)


def value(text: str) -> str | None:
    return IniFile.parse(f"[General]\nkey={text}\n").get("key")


def test_reads_what_qt_writes() -> None:
    ini = IniFile.parse(WRITTEN_BY_QT)
    assert ini.get("local.driver") == "qemu"
    assert ini.get("local.passphrase") == "f28cb995"
    assert ini.get("local.unknown") is None
    assert ini.get("Size", "geometry") == "@Size(10 20)"
    assert ini.get("size", "geometry") is None


def test_a_rewrite_keeps_every_other_line() -> None:
    text = (
        "; mine\n[general]\nKey = a ; why\ngarbage\n# b\nlocal.driver=x\n\n[Other]\nlocal.driver=y"
    )
    ini = IniFile.parse(text)
    ini.set("local.driver", "lxd")
    assert ini.to_text() == text.replace("local.driver=x", "local.driver=lxd")


def test_a_new_key_goes_to_the_end_of_its_section() -> None:
    ini = IniFile.parse(WRITTEN_BY_QT)
    ini.set("local.new", "1")
    assert ini.to_text() == WRITTEN_BY_QT.replace("f28cb995\n", "f28cb995\nlocal.new=1\n")


def test_an_empty_file_gets_a_section() -> None:
    ini = IniFile.parse("")
    ini.set("a", "b")
    assert ini.to_text() == "[General]\na=b\n"


def test_the_last_of_several_counts_and_setting_leaves_one() -> None:
    ini = IniFile.parse("[General]\na=1\na=2\n")
    assert ini.get("a") == "2"
    ini.set("a", "3")
    assert ini.to_text() == "[General]\na=3\n"


def test_what_stands_before_any_section_is_general() -> None:
    assert IniFile.parse("a=1\n").get("a") == "1"


def test_the_keys_of_a_section_are_told_once_each() -> None:
    ini = IniFile.parse("[General]\na=1\nb=2\na=3\n[x]\na=4")
    assert ini.keys() == ["a", "b"]
    assert ini.keys("x") == ["a"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", ""),
        ("  spaced  ", "spaced"),
        ('"  spaced  "', "  spaced  "),
        ('"a;b"', "a;b"),
        ("a ; comment", "a"),
        (r"\x41", "A"),
        (r"\xe9t\xe9", "été"),
        (r"\xd83d\xde00", "😀"),
        (r"\xd83d", "\ufffd"),
        (r"\101", "A"),
        (r"\"quoted\"", '"quoted"'),
        (r"a\\b\tc", "a\\b\tc"),
        ("@@at", "@at"),
        ("@Invalid()", ""),
        ("@String(x)", "x"),
        ("crlf\r", "crlf"),
        ("a=b", "a=b"),
        ("\\", ""),
        (r"\x", "\0"),
    ],
)
def test_values_are_read_as_qt_reads_them(text: str, meaning: str) -> None:
    assert value(text) == meaning


@pytest.mark.parametrize(
    ("meaning", "line"),
    [
        ("plain-1.0:x", "k=plain-1.0:x"),
        ("a=b", 'k="a=b"'),
        ("a, b;", 'k="a, b;"'),
        (" a", 'k=" a"'),
        ('"', r"k=\""),
        ("\n", r"k=\n"),
        ("é1", r"k=\xe9\x31"),
        ("ég", r"k=\xe9g"),
        ("@x", "k=@@x"),
        ("", "k="),
    ],
)
def test_values_are_written_so_that_qt_reads_them(meaning: str, line: str) -> None:
    ini = IniFile.parse("")
    ini.set("k", meaning)
    assert ini.to_text() == f"[General]\n{line}\n"


def test_odd_keys_are_escaped_as_qt_does() -> None:
    ini = IniFile.parse("")
    ini.set("a b/ü\u0100", "1")
    assert "a%20b\\%FC%U0100=1" in ini.to_text()
    assert ini.get("a b/ü\u0100") == "1"


@given(st.text())
def test_any_text_is_read_and_written_back_unchanged(text: str) -> None:
    assert IniFile.parse(text).to_text() == text


@given(st.text(), keys, values, st.sampled_from(["General", "other"]))
def test_what_was_set_is_got_whatever_the_file_held(
    text: str, key: str, meaning: str, section: str
) -> None:
    ini = IniFile.parse(text)
    before = {(name): ini.get(name, section) for name in ini.keys(section)}
    ini.set(key, meaning, section)
    again = IniFile.parse(ini.to_text())
    assert again.get(key, section) == meaning
    for name, old in before.items():
        assert name == key or again.get(name, section) == old


@given(st.text(alphabet='[]%\\"=;#@x09aU \t\r\n\ud800\udcff'))
def test_hostile_text_yields_values_that_can_be_sent(text: str) -> None:
    ini = IniFile.parse(text)
    for key in list(ini.keys()):
        (ini.get(key) or "").encode()
        key.encode()
