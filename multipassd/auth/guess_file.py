"""The guess limiter's state on disk, so that a restart grants no new guesses."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

from multipassd.auth import own_guesses
from multipassd.auth.own_guesses import Used
from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically

MODE = 0o600
MAX_FILE = 1 << 20  # all the persons that are remembered, at some 60 bytes each, twice over

_log = log.get("guesses")


class GuessState(NamedTuple):
    """The bucket's tokens and when they were counted; what persons have used of their own."""

    tokens: float
    at: float
    own: dict[str, Used]


class GuessFile:
    """A disk that refuses is reported once and stops no guess."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reported = False

    def read(self, now: float) -> GuessState | None:
        """None if there is no file.

        A file that makes no sense is an empty bucket, which is full again a minute later.
        """
        try:
            return _parse(read_regular(self._path, MAX_FILE))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            _log.warning("%s is no count of guesses (%s), so none is left", self._path, error)
            return GuessState(0.0, now, {})

    def write(self, state: GuessState) -> None:
        data = json.dumps({"tokens": state.tokens, "at": state.at, "own": state.own}).encode()
        try:
            write_atomically(self._path, data, MODE)
            self._reported = False
        except OSError as error:
            if not self._reported:
                _log.warning("The number of guesses can't be kept in %s: %s", self._path, error)
            self._reported = True


def _parse(data: bytes) -> GuessState:
    state = json.loads(data)
    tokens, at = float(state["tokens"]), float(state["at"])
    if not (math.isfinite(tokens) and math.isfinite(at)):
        raise ValueError("a number is out of range")
    return GuessState(max(0.0, tokens), at, own_guesses.parse(state.get("own", {})))
