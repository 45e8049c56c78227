"""What a command declares about itself: names, one-liner, options, arguments, and what runs it.

Plain classes: dataclasses cost a start 25 ms, named tuples 3.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.arguments.commandline import Option
    from client.session import Session


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
