"""1.16's settings in the snap: read once, never written, never back."""

from __future__ import annotations

import os
import stat

import pytest

from multipassd.settings.settings import Settings
from multipassd.snap.takeover import take_over
from protocol import settings as names
from tests.multipassd.snap.snap import Snap, earlier
from tools.sandbox import Sandbox

LEGACY = "f28cb995" + "0" * 120  # a record in 1.16's form
TEXT = f"[General]\nlocal.passphrase={LEGACY}\nlocal.driver=lxd\nkept.by.hand=yes\n"


@pytest.fixture
def snap(sandbox: Sandbox) -> Snap:
    return Snap(sandbox.root)


def test_everything_is_taken_over_for_root_alone(snap: Snap) -> None:
    earlier(snap, TEXT)
    assert take_over(snap.environ) == ""
    settings = Settings(snap.settings)
    assert settings.passphrase_record() == LEGACY
    assert settings.get(names.DRIVER) == "qemu", "the only driver; the file keeps the other"
    assert snap.settings.read_text() == TEXT
    assert stat.S_IMODE(snap.settings.stat().st_mode) == 0o600
    assert stat.S_IMODE(snap.settings.parent.stat().st_mode) == 0o700
    assert snap.earlier_settings.read_text() == TEXT
    assert os.listdir(snap.settings.parent.parent) == ["multipassd"]


def test_a_revert_brings_no_old_passphrase_back(snap: Snap) -> None:
    earlier(snap, TEXT)
    take_over(snap.environ)
    Settings(snap.settings).set(names.PASSPHRASE, "the new one")
    new = Settings(snap.settings).passphrase_record()
    take_over(Snap(snap.root, "x2").environ)
    take_over(snap.environ)
    assert Settings(snap.settings).passphrase_record() == new


@pytest.mark.parametrize("at_first", [TEXT, ""], ids=["after 1.16", "fresh"])
def test_removing_our_file_by_hand_brings_none_back(snap: Snap, at_first: str) -> None:
    if at_first:
        earlier(snap, at_first)
    assert take_over(snap.environ) == ""
    snap.settings.unlink(missing_ok=True)
    earlier(snap, TEXT)
    assert take_over(snap.environ) == ""
    assert not snap.settings.exists()


@pytest.mark.parametrize("kind", ["link", "writable by others", "directory", "not text"])
def test_what_is_not_to_be_trusted_is_told_and_tried_again(snap: Snap, kind: str) -> None:
    earlier(snap, TEXT)
    if kind == "link":
        snap.earlier_settings.rename(snap.root / "elsewhere")
        snap.earlier_settings.symlink_to(snap.root / "elsewhere")
    elif kind == "writable by others":
        snap.earlier_settings.chmod(0o666)
    elif kind == "directory":
        snap.earlier_settings.unlink()
        snap.earlier_settings.mkdir()
    else:
        snap.earlier_settings.write_bytes(b"\xff\xfe")
    problem = take_over(snap.environ)
    assert "were not taken over" in problem and str(snap.earlier_settings) in problem
    assert not snap.settings.parent.exists()
    if kind == "writable by others":
        snap.earlier_settings.chmod(0o600)
        assert take_over(snap.environ) == ""
        assert snap.settings.read_text() == TEXT


def test_a_place_that_can_not_be_written_is_told(snap: Snap) -> None:
    (snap.common / "config").write_text("in the way")
    assert "were not taken over" in take_over(snap.environ)


def test_outside_the_snap_nothing_is_done(snap: Snap) -> None:
    earlier(snap, TEXT)
    assert take_over({**snap.environ, "SNAP_NAME": "another"}) == ""
    assert not snap.settings.parent.exists()
