"""Prompts: the question goes to stdout, the answer is one line of stdin."""

from __future__ import annotations

import os

from client import messages
from client.errors import UsageError
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ANSWER = 65_536  # bytes; no value of a setting comes near


class EndOfInput(UsageError):
    """stdin has no more line."""

    def __init__(self) -> None:
        super().__init__(messages.NO_VALUE)


def ask(question: str) -> str:
    """Raises EndOfInput."""
    console.out(question)
    return _read_line()


def ask_secretly(question: str) -> str:
    """Like `ask`, without echo if stdin is a terminal. Raises EndOfInput."""
    try:
        return _ask_silently(question) if os.isatty(console.STDIN) else ask(question)
    finally:
        console.out("\n")


def new_passphrase() -> str:
    """Ask twice on a terminal, once without one. Raises UsageError."""
    first = ask_secretly(messages.ENTER_PASSPHRASE)
    try:
        second = ask_secretly(messages.REENTER_PASSPHRASE)
    except EndOfInput:
        if os.isatty(console.STDIN):
            raise
        return first
    if first != second:
        raise UsageError(messages.PASSPHRASES_DIFFER)
    return first


def may_bridge(networks: Sequence[str]) -> bool:
    """Ask for permission to create bridges; without a terminal, the answer is no."""
    if not console.is_live():
        return False
    console.out(messages.needs_bridge(networks))
    return confirm(messages.BRIDGE_QUESTION)


def confirm(
    question: str,
    again: str = messages.ANSWER_YES_NO,
    empty: str = "",
    *,
    end_is_no: bool = True,
) -> bool:
    """Yes or no; any other answer is asked `again`.

    `empty` is the meaning of an empty line, an empty text if it has none. Raises EndOfInput if the
    end of input is not to mean no.
    """
    try:
        answer = ask(question).lower() or empty
        while answer not in ("y", "yes", "n", "no"):
            answer = ask(again).lower() or empty
    except EndOfInput:
        if not end_is_no:
            raise
        return False
    return answer in ("y", "yes")


def _ask_silently(question: str) -> str:
    """The echo is off before the question shows, so that a quick answer is not echoed either."""
    from client.terminal.echo_off import Silence

    with Silence(console.STDIN, resumed=lambda: console.out(question)):
        return ask(question)


def _read_line() -> str:
    """Read byte by byte, so that what follows the line is left for other programs."""
    line = bytearray()
    while len(line) < MAX_ANSWER:
        console.wait_for_input()
        try:
            byte = os.read(console.STDIN, 1)
        except OSError:
            byte = b""
        if not byte and not line:
            raise EndOfInput
        if byte in (b"", b"\n"):
            return _decoded(bytes(line))
        line += byte
    raise EndOfInput


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(messages.NO_VALUE) from None
