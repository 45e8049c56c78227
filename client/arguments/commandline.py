"""The grammar of the command line: words in, options and positionals out. Pure.

    multipass [options] <command> [options] [args]

Options and positionals mix in any order; everything after the first bare `--` is positional.
"""

from __future__ import annotations

from client import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_VERBOSITY = 4  # trace


class Option:
    """An option; with a metavar it takes a value."""

    __slots__ = ("hidden", "metavar", "names", "text")

    def __init__(
        self, names: Sequence[str], text: str, metavar: str = "", hidden: bool = False
    ) -> None:
        self.names = tuple(names)  # without dashes, in the order that help shows
        self.text = text
        self.metavar = metavar
        self.hidden = hidden

    @property
    def key(self) -> str:
        """The key in the parsed command line: its longest name."""
        return max(self.names, key=len)


HELP = Option(("h", "help"), "Display this help")
VERBOSE = Option(
    ("v", "verbose"),
    "Increase logging verbosity. Repeat the 'v' in the short option for more detail. "
    "Maximum verbosity is obtained with 4 (or more) v's, i.e. -vvvv.",
)
VERSION = Option(("V", "version"), "Show version details", hidden=True)
# Of this project; help shows the options of 1.16.
ERRORS = Option(("errors",), "How to write an error: text or json (default: text)", "form", True)
GLOBAL_OPTIONS = (HELP, VERBOSE, VERSION, ERRORS)

FORMAT = Option(
    ("format",), "How to write the result: table, json, csv or yaml (default: table)", "format"
)


class CommandLine:
    """A parsed command line. `error` is the message about its first mistake, if any."""

    def __init__(self) -> None:
        self.positionals: list[str] = []
        self.values: dict[str, list[str]] = {}
        self.flags: set[str] = set()
        self.verbosity: int | None = None
        self.unknown: list[str] = []
        self._misuse = ""

    @property
    def help(self) -> bool:
        return HELP.key in self.flags

    @property
    def version(self) -> bool:
        return VERSION.key in self.flags

    @property
    def error(self) -> str:
        if self._misuse or not self.unknown:
            return self._misuse
        return messages.unknown_options(self.unknown)

    def value(self, key: str, default: str) -> str:
        """The last value given for an option."""
        return self.values[key][-1] if key in self.values else default

    def misuse(self, sentence: str) -> None:
        """The first mistake is the one reported."""
        self._misuse = self._misuse or sentence


def split_command(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command word, which is the first positional, and the line without it.

    An option's value before the command, if it is a word of its own, is taken as the command, as
    in Multipass: the options of the command are not known yet.
    """
    options_end = words.index("--") if "--" in words else len(words)
    for index, word in enumerate(words):
        if index > options_end or not _is_option(word):
            return word, [*words[:index], *words[index + 1 :]]
    return None, list(words)


def parse(words: Sequence[str], options: Sequence[Option] = ()) -> CommandLine:
    """Parse a line without its command word, with the given options and the global ones."""
    table = {name: option for option in (*GLOBAL_OPTIONS, *options) for name in option.names}
    line = CommandLine()
    rest = list(reversed(words))
    while rest:
        word = rest.pop()
        if word == "--":
            line.positionals.extend(reversed(rest))
            break
        if not _is_option(word):
            line.positionals.append(word)
        elif word.startswith("--"):
            _long(line, table, word, rest)
        else:
            _bundle(line, table, word, rest)
    return line


def _is_option(word: str) -> bool:
    return len(word) > 1 and word.startswith("-")


def _long(line: CommandLine, table: dict[str, Option], word: str, rest: list[str]) -> None:
    name, equals, value = word[2:].partition("=")
    option = table.get(name) if len(name) > 1 else None
    if option is None:
        line.unknown.append(name)
    elif option.metavar:
        _take_value(line, option, f"--{name}", value if equals else None, rest)
    elif equals:
        line.misuse(messages.unexpected_value(f"--{name}"))
    else:
        _set_flag(line, option, 1)


def _bundle(line: CommandLine, table: dict[str, Option], word: str, rest: list[str]) -> None:
    """Short options after one dash: flags, the last of which may take a value."""
    for index, letter in enumerate(word[1:], start=1):
        behind = word[index + 1 :]
        option = table.get(letter)
        if option is None:
            line.unknown.append(letter)
        elif option.metavar:
            value = behind.removeprefix("=") if behind else None
            _take_value(line, option, f"-{letter}", value, rest)
            return
        elif not behind.startswith("="):
            _set_flag(line, option, word.count(letter))
        if behind.startswith("="):
            if option is not None:
                line.misuse(messages.unexpected_value(f"-{letter}"))
            return


def _take_value(
    line: CommandLine, option: Option, shown: str, value: str | None, rest: list[str]
) -> None:
    if value is None:
        if not rest:
            line.misuse(messages.missing_value(shown))
            return
        value = rest.pop()
    line.values.setdefault(option.key, []).append(value)


def _set_flag(line: CommandLine, option: Option, times: int) -> None:
    if option is VERBOSE:
        if line.verbosity is None:  # the first one decides; later ones do not add up
            line.verbosity = min(times, MAX_VERBOSITY)
    else:
        line.flags.add(option.key)
