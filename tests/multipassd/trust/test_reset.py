"""A reset runs with rights that the daemon lacks, in directories that the daemon can write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from multipassd.trust import reset


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_directory_is_given_an_owner_and_a_mode(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs").chmod(0o777)
    reset.tighten(tmp_path / "certs")
    assert mode(tmp_path / "certs") == 0o700
    assert (tmp_path / "certs").stat().st_uid == os.geteuid()


@pytest.mark.parametrize("place", ["data/certs", "data"])
def test_no_symbolic_link_has_anothers_owner_and_mode_changed(tmp_path: Path, place: str) -> None:
    """A daemon that was taken over may have put it there."""
    victim = tmp_path / "victim"
    (victim / "certs").mkdir(parents=True)
    for path in (victim, victim / "certs"):
        path.chmod(0o777)
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(victim)
    with pytest.raises(OSError, match="is a symbolic link"):
        reset.tighten(tmp_path / "data/certs")
    assert [mode(victim), mode(victim / "certs")] == [0o777, 0o777]
