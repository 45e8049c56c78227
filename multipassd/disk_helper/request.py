"""Request and answer of the helper that runs qemu-img: the words of its command line, with open
files beside them (SCM_RIGHTS), and exit code, output and errors. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

PROGRAM = "qemu-img"
FIRST = 100  # descriptor of the first open file in qemu-img; above all others there
MAX_FILES = 4
MAX_REQUEST = 64 << 10
MAX_ANSWER = 1 << 20  # bytes; qemu-img's output about an image has a few hundred
# Seconds of a run's processor time. A conversion compresses a whole disk, with several threads.
CPU_SECONDS, LONG_CPU_SECONDS = 120, 24 * 3600
SECONDS, LONG_SECONDS = 150.0, 4 * 3600.0  # until its answer: it waits for the host's disk, too
LONG = ("convert",)
MISSING = 127  # the exit code for a program that is not installed, as in a shell


class QemuImgError(Exception):
    """qemu-img could not be run; the text is a sentence."""


class Answer(NamedTuple):
    """The result of one run of qemu-img."""

    code: int  # qemu-img's exit code; below zero the signal that ended it
    output: str
    errors: str

    @property
    def reason(self) -> str:
        """The last line of its errors, safe to print."""
        lines = self.errors.strip().splitlines() or [f"{PROGRAM} ended with code {self.code}"]
        return shown(lines[-1])


def shown(text: str) -> str:
    """A line of qemu-img's without control characters, as the image's author may have chosen it."""
    return "".join(char if char.isprintable() else "?" for char in text)[:300]


def file(index: int) -> str:
    """The path of an open file for qemu-img, by its index among those that are passed."""
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
