"""The grammar of the command line, by the table of facts."""

from __future__ import annotations

import pytest

from client.arguments.commandline import FORMAT, CommandLine, Option, parse, split_command

OPTIONS = (
    FORMAT,
    Option(("all",), ""),
    Option(("n", "name"), "", "name"),
    Option(("network",), "", "spec"),
    Option(("c", "cpus"), "", "cpus"),
)


def read(*words: str) -> CommandLine:
    return parse(words, OPTIONS)


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["--name", "x"], "name", "x"),
        (["--name=x"], "name", "x"),
        (["--name="], "name", ""),
        (["--name=a=b"], "name", "a=b"),
        (["-n", "x"], "name", "x"),
        (["-nx"], "name", "x"),
        (["-n=x"], "name", "x"),
        (["-nhello"], "name", "hello"),
        (["-c", "-2"], "cpus", "-2"),
        (["--name", "--all"], "name", "--all"),
        (["-name", "2G"], "name", "ame"),  # one dash: a bundle
        (["-vn", "x"], "name", "x"),  # the last of a bundle may take a value
        (["--name", "a", "--name", "b"], "name", "b"),  # the last one wins
    ],
)
def test_values_are_taken_in_every_spelling(words: list[str], key: str, value: str) -> None:
    line = read(*words)
    assert line.error == ""
    assert line.value(key, "none") == value


def test_all_values_of_a_repeated_option_are_kept_in_order() -> None:
    assert read("--network", "a", "--network=b").values["network"] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--name"], "Missing value after '--name'."),
        (["-n"], "Missing value after '-n'."),
        (["--all=1"], "Unexpected value after '--all'."),
        (["-h=1"], "Unexpected value after '-h'."),
        (["--foo"], "Unknown option 'foo'."),
        (["--foo=1"], "Unknown option 'foo'."),
        (["--foo", "--bar"], "Unknown options: foo, bar."),
        (["-x"], "Unknown option 'x'."),
        (["--nam", "x"], "Unknown option 'nam'."),  # no abbreviations
        (["-h", "--foo"], "Unknown option 'foo'."),
        (["--n", "x"], "Unknown option 'n'."),
    ],
)
def test_mistakes_get_their_sentence(words: list[str], sentence: str) -> None:
    assert read(*words).error == sentence


@pytest.mark.parametrize(
    ("words", "verbosity"),
    [
        ([], None),
        (["-v"], 1),
        (["--verbose"], 1),
        (["-vv"], 2),
        (["-vvvv"], 4),
        (["-vvvvvvv"], 4),
        (["-v", "-v"], 1),
        (["-vv", "-vvvv"], 2),
        (["-hv"], 1),
        (["--", "-vv"], None),
        (["-nvvv"], None),
    ],
)
def test_the_first_verbosity_on_the_line_decides(words: list[str], verbosity: int | None) -> None:
    assert read(*words).verbosity == verbosity


def test_options_and_positionals_mix_and_a_bare_dash_is_positional() -> None:
    line = read("a", "--all", "-", "b", "--", "--all", "--", "-x")
    assert line.positionals == ["a", "-", "b", "--all", "--", "-x"]
    assert line.flags == {"all"}


@pytest.mark.parametrize(
    ("words", "command", "rest"),
    [
        ([], None, []),
        (["-v"], None, ["-v"]),
        (["list", "-v"], "list", ["-v"]),
        (["-v", "--format=csv", "list", "x"], "list", ["-v", "--format=csv", "x"]),
        (["--format", "csv", "list"], "csv", ["--format", "list"]),
        (["--", "list", "-x"], "list", ["--", "-x"]),
        (["--"], None, ["--"]),
        (["-"], "-", []),
    ],
)
def test_the_first_positional_is_the_command(
    words: list[str], command: str | None, rest: list[str]
) -> None:
    assert split_command(words) == (command, rest)
