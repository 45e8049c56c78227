"""Reading systemd's journal, by python-systemd: records of certain fields, one at a time."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

PLACES = ("/var/log/journal", "/run/log/journal")
POLL = 1.0  # seconds between two looks whether to go on

# All must hold of a record, of each at least one alternative; an alternative is "FIELD=value".
Conditions = Iterable[Iterable[str]]
Record = Mapping[str, Any]  # a string for each field, or several in a list


class NoJournal(Exception):
    """There is none here, or this process may not read it."""


def read(
    conditions: Conditions, since: float | None, until: float | None, follow: bool = False
) -> Iterator[Record]:
    """From the oldest to the newest, each with `__REALTIME_TIMESTAMP` in microseconds since 1970.
    `since` and `until` are seconds since then. With `follow` it waits for more. Raises NoJournal,
    OSError."""
    if not any(glob.glob(f"{place}/*/*.journal") for place in PLACES):
        raise NoJournal
    from systemd import journal  # only here: it is not there in each checkout

    converters: dict[str, Callable[[Any], object]] = dict.fromkeys(
        journal.DEFAULT_CONVERTERS, _text
    )
    converters["__REALTIME_TIMESTAMP"] = int
    with closing(journal.Reader(converters=converters)) as reader:
        for number, alternatives in enumerate(conditions):
            if number:
                reader.add_conjunction()
            _match(reader, alternatives)
        if since is not None:
            reader.seek_realtime(max(since, 0.0))
        # Each, not up to the first: a clock that was wrong for a while has them out of order.
        first, last = (since or 0) * 1e6, until * 1e6 if until is not None else math.inf
        for entry in _entries(reader, follow):
            if first <= entry["__REALTIME_TIMESTAMP"] <= last:
                yield entry


def _match(reader: Any, alternatives: Iterable[str]) -> None:
    for number, match in enumerate(alternatives):
        if number:
            reader.add_disjunction()
        reader.add_match(match)


def _entries(reader: Any, follow: bool) -> Iterator[Record]:
    while True:
        while entry := reader.get_next():
            yield entry
        if not follow:
            return
        reader.wait(POLL)


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
