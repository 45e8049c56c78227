"""One line about a download: size, rate, time left. Pure."""

from __future__ import annotations

UNITS = ("B", "kB", "MB", "GB", "TB")  # decimal, as transfers are usually counted
MINUTE, HOUR = 60, 3600


class Transfer:
    """In bytes and seconds. `size` is 0 if unknown, `rate` and `left` are None."""

    def __init__(
        self, received: int, size: int, rate: float | None = None, left: float | None = None
    ) -> None:
        self.received = received
        self.size = size
        self.rate = rate
        self.left = left


def line(label: str, transfer: Transfer, percent: int | None, columns: int) -> str:
    """The line, cut at the right to fit `columns`; the number follows `label`.

    `percent` is from the launch's own replies, which are newer; None to compute it.
    """
    text, *rest = _parts(transfer, percent)
    text = label + text
    for part in rest:
        if len(text) + len(part) > columns:
            break
        text += part
    return text


def _parts(transfer: Transfer, percent: int | None) -> list[str]:
    if transfer.size:
        if percent is None:
            percent = min(transfer.received * 100 // transfer.size, 100)
        parts = [f"{percent}%", f" of {amount(transfer.size)}"]
    else:
        parts = [amount(transfer.received)]
    if transfer.rate is not None:
        parts.append(f", {amount(transfer.rate)}/s")
    if transfer.left is not None and percent != 100:
        parts.append(f", {duration(transfer.left)} left")
    return parts


def amount(size: float) -> str:
    """About three digits: 998 B, 1.0 kB, 11.3 MB, 612 MB."""
    for unit in UNITS:
        if round(size) < 1000 or unit == UNITS[-1]:
            break
        size /= 1000
    digits = 0 if unit == UNITS[0] or size >= 99.95 else 1
    return f"{size:.{digits}f} {unit}"


def duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
