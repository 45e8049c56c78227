"""How often a passphrase may be guessed: a few times a day by each person, beyond that from one
bucket for all, and with a growing delay for each.

The clock is handed in. Clients that are trusted already, and root, take nothing from either: only
their own guesses delay them, as they are charged under a name of their own.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from multipassd.auth.guess_file import GuessFile, GuessState
from multipassd.auth.own_guesses import OwnGuesses
from multipassd.system import installation
from protocol.errors import TooManyGuesses

BURST = 10  # a household's typing errors
SECONDS_A_TOKEN = 6.0  # ten guesses a minute by all: 5 million a year against any passphrase
FIRST_DELAY = 1.0
LONGEST_DELAY = 30.0
LONGEST_WAIT = 30.0  # a call that would have to wait longer is refused instead of being held
FORGET_AFTER = 600.0  # without a guess, the delay starts small again
REFUSED = "Too many passphrases were tried, so no more are checked for now."
MAX_GUESSERS = 4096  # of some 200 bytes each


class _Guesser:
    def __init__(self, free_at: float, seen: float) -> None:
        self.free_at = free_at  # when the next guess may be checked
        self.seen = seen
        self.guesses = 0  # since the last success; one that is still being checked counts as wrong
        self.charged = 0  # tokens taken for guesses without a verdict yet


class Guesses:
    """Admission of guesses. `now` is time.time(); if it is set back nothing breaks."""

    def __init__(self, path: Path | None = None, now: float | None = None) -> None:
        """`path` is where what is left is kept across restarts; None for nowhere."""
        self._file = GuessFile(path) if path else None
        moment = time.time() if now is None else now
        kept = self._file.read(moment) if self._file else None
        kept = kept or GuessState(float(BURST), moment, {})
        self._tokens, self._filled_at = kept.tokens, kept.at
        self._own = OwnGuesses(kept.own)
        self._guessers: dict[str, _Guesser] = {}  # in order of their last guess

    def admit(self, who: str, privileged: bool, now: float) -> float:
        """Reserves the next guess of `who`; returns the seconds to wait before checking it.

        Raises TooManyGuesses, and then nothing was reserved. After the check either `failed` or
        `succeeded` must be called. `who` names the account that is charged, such as a uid.
        """
        guesser = self._guesser(who, now)
        wait = max(0.0, guesser.free_at - now)
        if wait > LONGEST_WAIT:
            raise TooManyGuesses(_own_delay(wait - LONGEST_WAIT))
        if not privileged and not self._take_own(who, now):
            self._take_token(now)
            guesser.charged += 1
        guesser.guesses += 1
        guesser.free_at = now + wait + _delay(guesser.guesses)
        self._keep(who, guesser, now)
        return wait

    def failed(self, who: str, now: float) -> None:
        guesser = self._guessers.get(who)
        if guesser is not None:
            guesser.charged = max(0, guesser.charged - 1)

    def succeeded(self, who: str, now: float) -> None:
        """Gives back what was taken: knowing the passphrase is no guess."""
        if self._own.renew(who):
            self._save()
        guesser = self._guessers.get(who)
        if guesser is None:
            return
        if guesser.charged:
            guesser.charged -= 1
            self._refill(now)
            self._set_tokens(self._tokens + 1)
        guesser.guesses = 0
        guesser.free_at = now

    def tokens(self, now: float) -> float:
        self._refill(now)
        return self._tokens

    def __len__(self) -> int:
        return len(self._guessers)

    def _guesser(self, who: str, now: float) -> _Guesser:
        guesser = self._guessers.get(who)
        if guesser is None or now - guesser.seen > FORGET_AFTER:
            return _Guesser(free_at=now, seen=now)
        # A clock set back would otherwise make the rest of the delay as long as the jump.
        guesser.free_at = min(guesser.free_at, now + LONGEST_WAIT + LONGEST_DELAY)
        return guesser

    def _keep(self, who: str, guesser: _Guesser, now: float) -> None:
        guesser.seen = now
        self._guessers.pop(who, None)
        self._guessers[who] = guesser
        if len(self._guessers) > MAX_GUESSERS:
            del self._guessers[next(iter(self._guessers))]

    def _take_own(self, who: str, now: float) -> bool:
        taken = self._own.take(who, now)
        if taken:
            self._save()
        return taken

    def _take_token(self, now: float) -> None:
        self._refill(now)
        if self._tokens < 1:
            raise TooManyGuesses(_others_guess())
        self._set_tokens(self._tokens - 1)

    def _refill(self, now: float) -> None:
        elapsed = max(0.0, now - self._filled_at)
        self._filled_at = now
        self._tokens = min(float(BURST), self._tokens + elapsed / SECONDS_A_TOKEN)

    def _set_tokens(self, tokens: float) -> None:
        self._tokens = min(float(BURST), tokens)
        self._save()

    def _save(self) -> None:
        if self._file:
            self._file.write(GuessState(self._tokens, self._filled_at, self._own.used()))


def _delay(guesses: int) -> float:
    """1, 2, 4, 8, 16, then 30 seconds."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(guesses - 1, 10))


def _own_delay(wait: float) -> str:
    seconds = max(1, math.ceil(wait))
    unit = "second" if seconds == 1 else "seconds"
    return f"{REFUSED}\nPlease try again in {seconds} {unit}."


def _others_guess() -> str:
    """Names no time: others may take the next guess of the shared bucket as well."""
    return (
        f"{REFUSED}\nThe service checks few passphrases while others guess wrong. Please try again "
        "later,\nor have the administrator let you in with "
        f"`sudo {installation.here().trust} add --user NAME`."
    )
