"""What is asked of the helper that runs qemu-img, and what it answers: a JSON line each, the first
with the open files beside it (SCM_RIGHTS). Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

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


def encode(words: tuple[str, ...]) -> bytes:
    return json.dumps(words).encode() + b"\n"


def decode(line: bytes) -> list[str]:
    """Raises ValueError."""
    words = json.loads(line)
    if not (isinstance(words, list) and words and all(isinstance(one, str) for one in words)):
        raise ValueError("the request is no list of words")
    return words


def encode_answer(answer: Answer) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def decode_answer(line: bytes) -> Answer:
    """Raises QemuImgError."""
    try:
        code, output, errors = json.loads(line)
        return Answer(int(code), str(output), str(errors))
    except (ValueError, TypeError, RecursionError) as error:
        raise QemuImgError(f"{PROGRAM} gave no answer; the log tells why.") from error
