"""What is run in a guest to change its keys, by real shells: our lines change, and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from multipassd.instances.attachments import login_key_commands as commands
from tests import smalldisk

OLD, OLDER, NEW = (f"ssh-ed25519 AAAA{name}" for name in ("old", "older", "new"))
SHELLS = [["dash"], ["bash"], ["busybox", "sh"]]


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    return words


def keys(home: Path, text: str) -> Path:
    (home / ".ssh").mkdir()
    path = home / ".ssh/authorized_keys"
    path.write_text(text)
    path.chmod(0o640)
    return path


def run(shell: list[str], home: Path, command: str) -> str:
    done = subprocess.run(
        [*shell, "-c", command], env={"HOME": str(home), "PATH": os.environ["PATH"]},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done
    return commands.outcome(done.stdout)


def test_the_new_key_comes_beside_the_former_one_and_then_that_goes(
    shell: list[str], tmp_path: Path
) -> None:
    path = keys(tmp_path, f'# {OLD}\nssh-rsa BBBB a\n\nfrom="10.0.0.1" {OLD} c\n  a\\b $x `y`')
    add = commands.add(NEW, [OLDER, OLD])
    for _ in range(2):  # a run that was broken off is repeated
        assert run(shell, tmp_path, add) == ""
        assert path.read_text() == (
            f'# {OLD}\nssh-rsa BBBB a\n\nfrom="10.0.0.1" {NEW} c\nfrom="10.0.0.1" {OLD} c\n'
            "  a\\b $x `y`\n"
        )
    for _ in range(2):
        assert run(shell, tmp_path, commands.drop([OLDER, OLD])) == ""
        assert path.read_text() == (
            f'# {OLD}\nssh-rsa BBBB a\n\nfrom="10.0.0.1" {NEW} c\n  a\\b $x `y`\n'
        )
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(path.parent) == ["authorized_keys"]


def test_a_key_that_is_in_no_line_comes_behind_the_others(shell: list[str], tmp_path: Path) -> None:
    path = keys(tmp_path, "ssh-rsa BBBB a\n")
    assert run(shell, tmp_path, commands.add(NEW, [OLD])) == ""
    assert path.read_text() == f"ssh-rsa BBBB a\n{NEW}\n"


def test_a_file_that_was_edited_or_is_no_plain_one_stays_as_it_is(
    shell: list[str], tmp_path: Path
) -> None:
    path = keys(tmp_path, f"ssh-ed25519\t{OLD.split()[1]}\n")
    before = path.read_text()
    for command in (commands.add(NEW, [OLD]), commands.drop([OLD])):
        assert "edited" in run(shell, tmp_path, command)
        assert path.read_text() == before
    path.rename(tmp_path / "elsewhere")
    assert "missing" in run(shell, tmp_path, commands.add(NEW, [OLD]))
    path.symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in run(shell, tmp_path, commands.add(NEW, [OLD]))
    assert (tmp_path / "elsewhere").read_text() == before
    path.unlink()
    path.write_text("x" * (commands.MAX_FILE + 1))
    assert "too large" in run(shell, tmp_path, commands.add(NEW, [OLD]))


@pytest.mark.root
def test_a_full_disk_and_an_immutable_file_change_nothing(shell: list[str], tmp_path: Path) -> None:
    smalldisk.mount(tmp_path, "64k")
    try:
        path = keys(tmp_path, f"{OLD}\n")
        before = path.read_text()
        with pytest.raises(OSError, match="No space"), (tmp_path / "fill").open("wb") as fill:
            while True:
                fill.write(bytes(4096))
                fill.flush()
        assert "full" in run(shell, tmp_path, commands.add(NEW, [OLD]))
        assert path.read_text() == before and os.listdir(path.parent) == ["authorized_keys"]
        (tmp_path / "fill").unlink()
        if subprocess.run(["chattr", "+i", str(path)], check=False).returncode == 0:
            assert "replaced" in run(shell, tmp_path, commands.add(NEW, [OLD]))
            subprocess.run(["chattr", "-i", str(path)], check=True)
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        assert "written" in run(shell, tmp_path, commands.drop([OLD]))
        assert path.read_text() == before and os.listdir(path.parent) == ["authorized_keys"]
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_what_a_guest_says_is_not_believed_further_than_one_line() -> None:
    assert commands.outcome("a motd\ndone\n") == ""
    assert commands.outcome("failed: \x1b[2Jx") == "[2Jx"
    assert "shell" in commands.outcome("")


def test_of_a_copied_disk_only_the_line_of_its_own_principal_stays(
    shell: list[str], tmp_path: Path
) -> None:
    own, other = (
        f'cert-authority,principals="ubuntu@{name}" ssh-ed25519 AAAAca multipass-certificates'
        for name in ("own", "other")
    )
    path = keys(tmp_path, f"{other}\n{NEW}\n{own}\n# {other}\ncert-authority ssh-ed25519 AAAAx y\n")
    before = path.read_text()
    assert run(shell, tmp_path, commands.drop([OLD])) == ""
    assert path.read_text() == before, "which line is its own is not known"
    assert run(shell, tmp_path, commands.drop([OLD], own)) == ""
    assert path.read_text() == before.removeprefix(f"{other}\n")
