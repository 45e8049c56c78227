"""Write one file for each shell: `python3 -m tools.completion DIRECTORY`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from client import commands
from tools.completion import bash, fish, zsh


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python3 -m tools.completion DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    table = commands.every()
    for name, text in (
        ("multipass.bash", bash.text(table)),
        ("_multipass", zsh.text(table)),
        ("multipass.fish", fish.text(table)),
    ):
        (directory / name).write_text(text, encoding="utf-8")
    return 0
