"""The record of one client, from and to an event of the side file. Pure."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BY_HAND = "by hand"

TEXT_LIMIT = 200  # characters of a name: more is no name


@dataclass(frozen=True)
class ClientRecord:
    """What is known of one client beside its certificate; times in seconds since the epoch."""

    fingerprint: str
    name: str = ""
    how: str = BY_HAND
    uid: int | None = None
    enrolled_at: float | None = None
    last_seen: float | None = None


def as_event(record: ClientRecord) -> dict[str, Any]:
    return {
        "event": "enrolled",
        "fingerprint": record.fingerprint,
        "at": record.enrolled_at,
        "how": record.how,
        "uid": record.uid,
        "name": record.name,
        "seen": record.last_seen,
    }


def as_record(fingerprint: str, event: dict[str, Any]) -> ClientRecord:
    uid = event.get("uid")
    return ClientRecord(
        fingerprint=fingerprint,
        name=_text(event.get("name"), ""),
        how=_text(event.get("how"), BY_HAND),
        uid=uid if type(uid) is int else None,
        enrolled_at=moment(event.get("at")),
        last_seen=moment(event.get("seen")),
    )


def _text(value: object, otherwise: str) -> str:
    """The file may come from elsewhere: nothing in it must reach a terminal as a control code."""
    if not isinstance(value, str):
        return otherwise
    return "".join(each if each.isprintable() else "?" for each in value[:TEXT_LIMIT])


def moment(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with_fraction = float(value) if abs(value) < 1e15 else math.inf
        return with_fraction if math.isfinite(with_fraction) else None
    return None


def last_enrolment(data: bytes, fingerprint: str) -> tuple[int, int]:
    """Offset and length of the client's newest enrolment in the side file, without the line's end;
    both 0 if there is none."""
    end = len(data)
    while (at := data.rfind(fingerprint.encode(), 0, end)) >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        end = start
        stop = data.find(b"\n", at)
        line = data[start:stop]
        with suppress(ValueError, RecursionError, AttributeError):
            if json.loads(line).get("event") == "enrolled":
                return start, len(line)
    return 0, 0
