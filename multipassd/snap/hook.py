"""What all hooks share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Hook = Callable[[Mapping[str, str]], None]  # is handed the environment; raises HookFailed


class HookFailed(Exception):
    """snapd shows the sentence and undoes the change."""
