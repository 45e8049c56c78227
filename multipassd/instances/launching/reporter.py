"""Where a launch tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from multipassd.images.image import Progress


@dataclass(frozen=True)
class Reporter:
    """Where a launch tells how far it is."""

    step: Callable[[str], None]  # "Creating NAME"
    progress: Callable[[Progress, int], None]
    message: Callable[[str], None]  # what is waited for
    launched: Callable[[], None]  # it runs, and is kept from now on
    warn: Callable[[str], None] = lambda text: None  # of what is no reason to refuse
