"""Keeping the number of guesses left across restarts, so that restarting gains no guesses."""

from __future__ import annotations

import json
import math
from pathlib import Path

from multipassd import log
from multipassd.files import read_regular, write_atomically

MODE = 0o600
MAX_FILE = 4096

_log = log.get("guesses")


class GuessFile:
    """A disk that refuses is reported once and stops no guess."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reported = False

    def read(self, now: float) -> tuple[float, float] | None:
        """The tokens and when they were counted; None if there is no file.

        A file that makes no sense is an empty bucket, which is full again a minute later.
        """
        try:
            return _parse(read_regular(self._path, MAX_FILE))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            _log.warning("%s is no count of guesses (%s), so none is left", self._path, error)
            return 0.0, now

    def write(self, tokens: float, now: float) -> None:
        data = json.dumps({"tokens": tokens, "at": now}).encode()
        try:
            write_atomically(self._path, data, MODE)
            self._reported = False
        except OSError as error:
            if not self._reported:
                _log.warning("The number of guesses can't be kept in %s: %s", self._path, error)
            self._reported = True


def _parse(data: bytes) -> tuple[float, float]:
    state = json.loads(data)
    tokens, at = float(state["tokens"]), float(state["at"])
    if not (math.isfinite(tokens) and math.isfinite(at)):
        raise ValueError("a number is out of range")
    return max(0.0, tokens), at
