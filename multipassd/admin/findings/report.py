"""The output of check: findings, each with what to do."""

from __future__ import annotations


class Report:
    """Prints findings as they come and counts the problems."""

    def __init__(self) -> None:
        self.problems = 0

    def fine(self, text: str) -> None:
        print(f"ok       {text}")

    def note(self, text: str) -> None:
        print(f"note     {text}")

    def problem(self, text: str, cure: str = "") -> None:
        self.problems += 1
        print(f"PROBLEM  {text}")
        if cure:
            print(f"         next: {cure}")
