"""Completion is generated for three shells and knows each command; bash's is also run."""

import subprocess
from pathlib import Path

import pytest

from client import commands
from tools import completion


def test_every_shell_is_told_every_command() -> None:
    table = commands.every()
    for text in (completion.bash(table), completion.zsh(table), completion.fish(table)):
        assert all(word in text for word in commands.MODULES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["multipass", "auth"], ["authenticate", "auth"]),
        (["multipass", "-v", "ver"], ["version"]),
        (["multipass", "list", "--format", ""], ["table", "json", "csv", "yaml"]),
        (["multipass", "ls", "--sn"], ["--snapshots"]),
        (["multipass", "get", "--"], ["--help", "--verbose", "--raw", "--keys"]),
        (["multipass", "nonsense", "--"], []),
    ],
)
def test_bash_completes(words: list[str], expected: list[str], tmp_path: Path) -> None:
    assert completion.main([str(tmp_path)]) == 0
    script = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _multipass; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-euc", script, "bash", str(tmp_path / "multipass.bash"), *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split() == expected
