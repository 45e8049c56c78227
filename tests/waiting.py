"""Waiting for what another process brings about."""

import time
from collections.abc import Callable

PATIENCE = 30.0  # seconds, for what takes less than one on a machine that has nothing else to do


def until(
    true: Callable[[], bool], what: str = "", *, seconds: float = PATIENCE, every: float = 0.02
) -> float:
    """The seconds that it took. Fails, with `what` it was for, when it takes too long."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < seconds, f"waited for {what}"
        time.sleep(every)
    return time.monotonic() - started
