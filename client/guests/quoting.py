"""Quote words for a POSIX shell. Pure. (shlex loads `re`, which takes 5 ms.)"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_")


def quote(word: str) -> str:
    """One word, also when it is empty; nothing in it is expanded."""
    if word and _PLAIN.issuperset(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def join(words: Iterable[str]) -> str:
    return " ".join(map(quote, words))
