"""The daemon's command line: the plain way to read it and argparse agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd import options
from multipassd.options import Options, parse_options

NAMES = (
    "--address", "--logger", "--verbosity", "-V", "--idle-exit", "--network", "--enrol-installer",
    "--version", "--help", "--idle-exit=5", "--", "-",
)  # fmt: skip
VALUES = (
    "unix:/x", "localhost:1", "-x:1", "[::1]:5", "nothing", "stderr", "platform", "debug", "5",
    "-5", "\N{ARABIC-INDIC DIGIT FIVE}", "bridge", "user", "alice", "",
)  # fmt: skip


def outcome(words: list[str], *, plain: bool) -> object:
    try:
        found = parse_options(words) if plain else options._any(words)
    except SystemExit as end:
        return end.code
    return found._replace(address=()), [str(each) for each in found.address]


@given(st.lists(st.sampled_from([*NAMES, *VALUES]), max_size=5))
def test_any_words_mean_what_argparse_reads_in_them(words: list[str]) -> None:
    assert outcome(words, plain=True) == outcome(words, plain=False)


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=3))
def test_names_with_values_mean_what_argparse_reads_in_them(pairs: list[tuple[str, str]]) -> None:
    words = [word for pair in pairs for word in pair]
    assert outcome(words, plain=True) == outcome(words, plain=False)


def test_no_words_are_the_defaults() -> None:
    assert parse_options([]) == options._any([]) == Options()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--idle-exit", "soon"], "'soon' is no number of seconds"),
        (["--address", "nowhere"], "nowhere"),
        (["--network"], "expected one argument"),
        (["list"], "unrecognized arguments: list"),
    ],
)
def test_bad_usage_ends_with_a_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parse_options(words)
    assert end.value.code == 2 and said in capsys.readouterr().err
