"""The declaration of a command: names, options, arguments, and the function that runs it.

Plain classes: dataclasses cost a start 25 ms, named tuples 3.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.arguments.commandline import Option
    from client.session import Session


class Argument:
    """A positional argument, as help shows it."""

    __slots__ = ("name", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text


class Command:
    """A command of the CLI: what help shows, and the function that runs it."""

    __slots__ = (
        "aliases",
        "arguments",
        "description",
        "name",
        "options",
        "options_hint",
        "run",
        "syntax",
        "syntax_without_primary",
    )

    def __init__(
        self,
        name: str,
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
        self.description = description
        self.run = run  # returns the exit code or raises a ClientError
        self.aliases = tuple(aliases)
        self.options = tuple(options)
        self.syntax = syntax
        self.arguments = tuple(arguments)
        # Help for commands whose default is the primary instance, if that is disabled.
        self.syntax_without_primary = syntax_without_primary
        self.options_hint = options_hint  # shown if an option is unknown and no `--` was given
