"""What an inspection of what a driver needs found, as `multipass-trust check` shows it. Pure."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How much a finding matters."""

    FINE = "ok"
    NOTE = "note"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """`text`: a sentence without its full stop; `cure`: what to type next, where there is that;
    `command`: what root may run for it without a further thought."""

    level: Level
    text: str
    cure: str = ""
    command: tuple[str, ...] = ()


def fine(text: str) -> Finding:
    return Finding(Level.FINE, text)


def note(text: str) -> Finding:
    return Finding(Level.NOTE, text)


def problem(text: str, cure: str = "", command: tuple[str, ...] = ()) -> Finding:
    return Finding(Level.PROBLEM, text, cure, command)
