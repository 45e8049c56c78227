"""What a command declares about itself: names, one-liner, options, arguments, and what runs it.

Plain classes: dataclasses cost a start 25 ms, named tuples 3.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.session import Session


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
        """What the parsed command line calls it: its longest name."""
        return max(self.names, key=len)


class Argument:
    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text


class Command:
    __slots__ = (
        "aliases",
        "arguments",
        "description",
        "name",
        "options",
        "options_hint",
        "run",
        "summary",
        "syntax",
        "syntax_without_primary",
    )

    def __init__(
        self,
        name: str,
        summary: str,
        description: str,
        run: Callable[[Session], int],
        *,
        aliases: Sequence[str] = (),
        options: Sequence[Option] = (),
        syntax: str = "",
        arguments: Sequence[Argument] = (),
        syntax_without_primary: str = "",
        options_hint: str = "",
    ) -> None:
        self.name = name
        self.summary = summary
        self.description = description
        self.run = run  # returns the exit code or raises a ClientError
        self.aliases = tuple(aliases)
        self.options = tuple(options)
        self.syntax = syntax
        self.arguments = tuple(arguments)
        # Where a name left out means the primary instance: what help says while there is none.
        self.syntax_without_primary = syntax_without_primary
        self.options_hint = options_hint  # said when an option is unknown and no `--` was given


HELP = Option(("h", "help"), "Display this help")
VERBOSE = Option(
    ("v", "verbose"),
    "Increase logging verbosity. Repeat the 'v' in the short option for more detail. "
    "Maximum verbosity is obtained with 4 (or more) v's, i.e. -vvvv.",
)
VERSION = Option(("V", "version"), "Show version details", hidden=True)
GLOBAL_OPTIONS = (HELP, VERBOSE, VERSION)

FORMAT = Option(
    ("format",), "How to write the result: table, json, csv or yaml (default: table)", "format"
)
