"""Points in time as an administrator types them: `2h`, `yesterday`, `2026-11-29 12:00`. UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from multipassd.admin.access.verb import TrustError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}  # seconds
AGO = re.compile(r"([0-9]{1,9})([smhdw])")
FORMS = "Say for example 30m, 2h, 7d, yesterday, 2026-11-29 or '2026-11-29 12:00' (UTC)."


def parse(text: str, now: datetime) -> float:
    """In seconds since 1970. Raises TrustError."""
    try:
        return _moment(text.strip(), now).timestamp()
    except (ValueError, OverflowError):
        raise TrustError(f"{text!r} is no point in time. {FORMS}") from None


def _moment(text: str, now: datetime) -> datetime:
    """Raises ValueError, OverflowError."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": today, "yesterday": today - timedelta(days=1)}
    if text in named:
        return named[text]
    if ago := AGO.fullmatch(text):
        return now - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
