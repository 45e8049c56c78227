"""Which of a checkout's files get into the source package."""

import subprocess
from pathlib import Path

import pytest

from tools import deb


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "checkout"
    (place / "client").mkdir(parents=True)
    for name in (
        "dev",
        "deleted",
        "client/main.py",
        "client/scratch.py",
        ".gitignore",
        "noise.log",
    ):
        (place / name).write_text("*.log\n")
    (place / "dev").chmod(0o755)
    git = ["git", "-c", f"safe.directory={place}", "-C", str(place)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "dev", "deleted", "client/main.py", ".gitignore"], check=True)
    (place / "deleted").unlink()
    (place / "client/main.py").write_text("changed since\n")
    monkeypatch.setattr(deb, "CHECKOUT", place)
    return place


def copied(destination: Path) -> list[str]:
    found = (path for path in destination.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(destination)) for path in found)


def test_a_stray_file_never_gets_into_a_package(checkout: Path, tmp_path: Path) -> None:
    deb.copy_source(tmp_path / "copy")
    assert copied(tmp_path / "copy") == [".gitignore", "client/main.py", "dev"]
    assert (tmp_path / "copy/client/main.py").read_text() == "changed since\n"
    assert (tmp_path / "copy/dev").stat().st_mode & 0o777 == 0o755
    assert deb.untracked() == ["client/scratch.py"]


def test_tests_take_work_in_progress_but_nothing_that_git_ignores(
    checkout: Path, tmp_path: Path
) -> None:
    deb.copy_source(tmp_path / "copy", work_in_progress=True)
    assert copied(tmp_path / "copy") == [".gitignore", "client/main.py", "client/scratch.py", "dev"]


def test_only_what_the_package_is_made_of_makes_it_another_one(checkout: Path) -> None:
    before = deb.source_identity()
    (checkout / "tests").mkdir()
    (checkout / "tests/test_new.py").write_text("")
    assert deb.source_identity() == before
    (checkout / "client/main.py").write_text("changed again\n")
    assert deb.source_identity() != before


def test_without_git_a_sentence_says_why_nothing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deb, "CHECKOUT", tmp_path)
    with pytest.raises(deb.BuildError, match="not a git repository"):
        deb.untracked()
