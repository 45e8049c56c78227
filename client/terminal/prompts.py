"""Asking on the terminal. The question goes to stdout; the answer is one line of stdin."""

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
    """There is no line to read."""

    def __init__(self) -> None:
        super().__init__(messages.NO_VALUE)


def ask(question: str) -> str:
    """Raises EndOfInput."""
    console.out(question)
    return _read_line()


def ask_secretly(question: str) -> str:
    """The same without echo, where stdin is a terminal. Raises EndOfInput."""
    try:
        return _ask_silently(question) if os.isatty(console.STDIN) else ask(question)
    finally:
        console.out("\n")


def new_passphrase() -> str:
    """Asks twice. A pipe can't mistype, so one line of it is enough. Raises UsageError."""
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
    """Asks whether bridges may be made; where nobody can be asked, that is no."""
    if not console.is_live():
        return False
    console.out(messages.needs_bridge(networks))
    return confirm(messages.BRIDGE_QUESTION)


def confirm(question: str, again: str = messages.ANSWER_YES_NO, empty: str = "") -> bool:
    """Yes or no, asked `again` until it is one of them; the end of input is no.

    `empty` is what an empty line means, where that means something.
    """
    try:
        answer = ask(question).lower() or empty
        while answer not in ("y", "yes", "n", "no"):
            answer = ask(again).lower() or empty
    except EndOfInput:
        return False
    return answer in ("y", "yes")


def _ask_silently(question: str) -> str:
    """The echo is off before the question shows: who answers at once is not seen either."""
    from client.terminal.echo_off import Silence

    with Silence(console.STDIN, resumed=lambda: console.out(question)):
        return ask(question)


def _read_line() -> str:
    """Byte by byte, so that nothing behind the line is taken."""
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
