"""Keeping the number of guesses left across restarts, so that restarting gains no guesses."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

from multipassd.files import read_regular, write_atomically
from multipassd.guesses import BURST, SECONDS_A_TOKEN, Guesses

NAME = "passphrase-guesses.json"
MODE = 0o600
MAX_FILE = 4096

_log = logging.getLogger(__name__)


def load_guesses(directory: Path, now: float, wall: Callable[[], float] = time.time) -> Guesses:
    """Guesses with what was left of the bucket; each guess is noted in `directory`."""
    path = directory / NAME
    return Guesses(now, read_tokens(path, wall()), _Noting(path, wall))


def read_tokens(path: Path, wall: float) -> float:
    """No file: a full bucket. A file that makes no sense: an empty one, full a minute later."""
    try:
        return _tokens(json.loads(read_regular(path, MAX_FILE)), wall)
    except FileNotFoundError:
        return float(BURST)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        _log.warning("%s can't be used, so no guess is left at first: %s", path, error)
        return 0.0


def write_tokens(path: Path, tokens: float, wall: float) -> None:
    """Raises OSError."""
    write_atomically(path, json.dumps({"tokens": tokens, "at": wall}).encode(), MODE)


def _tokens(state: dict[str, float], wall: float) -> float:
    tokens, noted_at = float(state["tokens"]), float(state["at"])
    if not (math.isfinite(tokens) and math.isfinite(noted_at)):
        raise ValueError("a number is out of range")
    elapsed = max(0.0, wall - noted_at)  # nothing refills while the clock was set back
    return min(float(BURST), max(0.0, tokens) + elapsed / SECONDS_A_TOKEN)


class _Noting:
    """Writes each change; a disk that refuses is reported once and stops no guess."""

    def __init__(self, path: Path, wall: Callable[[], float]) -> None:
        self._path = path
        self._wall = wall
        self._reported = False

    def __call__(self, tokens: float) -> None:
        try:
            write_tokens(self._path, tokens, self._wall())
            self._reported = False
        except OSError as error:
            if not self._reported:
                _log.warning("The number of guesses can't be kept in %s: %s", self._path, error)
            self._reported = True
