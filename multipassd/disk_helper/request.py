"""Request and answer of the helper that runs qemu-img: the words of its command line, with open
files beside them (SCM_RIGHTS), and exit code, output and errors. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

PROGRAM = "qemu-img"
FIRST = 100  # the number that the first of the open files has in qemu-img; beyond all others there
MAX_FILES = 4
MAX_REQUEST = 64 << 10
MAX_ANSWER = 1 << 20  # bytes; qemu-img's word on an image is a few hundred
MISSING = 127  # the code for a program that is not installed, as the shell has it


class QemuImgError(Exception):
    """It could not be asked; the text is a sentence."""


class Answer(NamedTuple):
    code: int  # qemu-img's exit code; below zero the signal that ended it
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The last line of what it complained about, fit to show."""
        lines = self.errors.strip().splitlines() or [f"{PROGRAM} ended with code {self.code}"]
        return shown(lines[-1])


def shown(text: str) -> str:
    """A line of qemu-img's, fit for a terminal: who made the image may have chosen it."""
    return "".join(char if char.isprintable() else "?" for char in text)[:300]


def file(index: int) -> str:
    """The name of an open file, by its place among those that are handed over."""
    return f"/proc/self/fd/{FIRST + index}"


def words(message: list[Any]) -> list[str]:
    """The words of a request. Raises ValueError."""
    if not (message and all(isinstance(word, str) for word in message)):
        raise ValueError("the request is no list of words")
    return message


def answer(message: list[Any]) -> Answer:
    """Raises QemuImgError."""
    try:
        code, output, errors = message
        return Answer(int(code), str(output), str(errors))
    except (ValueError, TypeError) as error:
        raise no_answer() from error


def no_answer() -> QemuImgError:
    return QemuImgError(f"{PROGRAM} gave no answer; the log tells why.")
