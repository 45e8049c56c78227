"""The text of `help`: its columns and where its lines break."""

from __future__ import annotations

from client import messages
from client.arguments.commandline import HELP, VERBOSE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.arguments.commandline import Option
    from client.command import Command
    from client.session import Session

FIRST_LINE = 79  # columns of an entry's first line
CONTINUATION = 80  # columns of the lines below it
MAX_NAMES = 50  # columns for the names before the text is pushed right


def general() -> str:
    from client.commands.summaries import SUMMARIES

    width = max(map(len, SUMMARIES))
    rows = [f"  {name:<{width}}  {summary}" for name, summary in sorted(SUMMARIES.items())]
    parts = [
        "Usage: multipass [options] <command>",
        messages.GENERAL_DESCRIPTION,
        "",
        "Options:",
        *_entries(_pairs((HELP, VERBOSE)), _names_width((HELP, VERBOSE))),
        "",
        "Available commands:",
        *rows,
    ]
    return "\n".join(parts) + "\n"


def has_primary(session: Session, command: Command) -> bool:
    """Whether the name is optional; looked up only for commands that use it."""
    return not command.syntax_without_primary or bool(session.primary())


def of_command(command: Command, primary: bool = True) -> str:
    options = [HELP, VERBOSE, *(option for option in command.options if not option.hidden)]
    width = _names_width(options)
    syntax = command.syntax if primary else command.syntax_without_primary
    usage = f"Usage: multipass {command.name} [options] {syntax}".rstrip()
    parts = [usage]
    if command.description:
        parts.append(command.description)
    parts += ["", "Options:", *_entries(_pairs(options), width)]
    if command.arguments:
        arguments = [(argument.name, argument.text) for argument in command.arguments]
        parts += ["", "Arguments:", *_entries(arguments, width)]
    return "\n".join(parts) + "\n"


def _pairs(options: Sequence[Option]) -> list[tuple[str, str]]:
    return [(_names(option), option.text) for option in options]


def _names(option: Option) -> str:
    names = ", ".join(f"-{name}" if len(name) == 1 else f"--{name}" for name in option.names)
    return f"{names} <{option.metavar}>" if option.metavar else names


def _names_width(options: Sequence[Option]) -> int:
    return min(max(len(_names(option)) for option in options) + 1, MAX_NAMES)


def _entries(pairs: Sequence[tuple[str, str]], width: int) -> list[str]:
    lines = []
    for name, text in pairs:
        head = f"  {name:<{width}} "
        indent = " " * (width + 3)
        first, *others = _wrap(text, FIRST_LINE - len(head), CONTINUATION - len(indent))
        lines.append((head + first).rstrip())
        lines += [(indent + line).rstrip() for line in others]
    return lines


def _wrap(text: str, first: int, others: int) -> list[str]:
    """Breaks at spaces and at newlines; a word longer than the column is cut."""
    lines: list[str] = []
    rest: str | None = text
    while rest is not None:
        width = others if lines else first
        paragraph, newline, behind = rest.partition("\n")
        if len(paragraph) <= width:
            lines.append(paragraph)
            rest = behind if newline else None
            continue
        space = paragraph.rfind(" ", 1, width + 1)
        end = space if space > 0 else width
        lines.append(paragraph[:end])
        rest = rest[end:].removeprefix(" ")
    return lines
