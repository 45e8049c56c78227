"""The output of check: findings, each with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FINE, NOTE, PROBLEM = "ok", "note", "problem"
LABELS = {FINE: "ok       ", NOTE: "note     ", PROBLEM: "PROBLEM  "}


class Report:
    """Prints findings as they come, or only keeps them for a document; counts the problems."""

    def __init__(self, prints: bool = True) -> None:
        self.problems = 0
        self.findings: list[dict[str, Any]] = []
        self._prints = prints

    def fine(self, text: str) -> None:
        self._add(FINE, text)

    def note(self, text: str) -> None:
        self._add(NOTE, text)

    def problem(self, text: str, cure: str = "", command: Sequence[str] = ()) -> None:
        """`command`: what root may run for this cure without a further thought, as it loses
        nothing and gives no access that was not meant; empty where that can't be said."""
        self.problems += 1
        self._add(PROBLEM, text, cure, command)

    def _add(self, level: str, text: str, cure: str = "", command: Sequence[str] = ()) -> None:
        found = {"level": level, "text": text, "next": cure, "command": list(command)}
        self.findings.append(found)
        if self._prints:
            print(f"{LABELS[level]}{text}")
            if cure:
                print(f"         next: {cure}")
