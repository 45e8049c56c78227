"""Where records go: the journal, or stderr in the form that its reader wants."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.system import journal, log
from tools.sandbox import Sandbox


@pytest.fixture
def place(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = sandbox.root / "journal"
    monkeypatch.setattr(journal, "SOCKET", str(path))
    yield path


@pytest.mark.usefixtures("place")
def test_without_a_journal_there_is_no_sender() -> None:
    assert journal.sender() is None


def test_a_journal_that_may_not_be_used_counts_as_none(place: Path) -> None:
    place.write_text("connecting fails")
    assert journal.sender() is None


@pytest.fixture
def own_logger() -> Iterator[logging.Logger]:
    own = logging.getLogger(log.ROOT)
    before = own.handlers, own.propagate, own.level, logging.raiseExceptions
    yield own
    own.handlers, own.propagate, own.level, logging.raiseExceptions = before


@pytest.mark.usefixtures("place", "own_logger")
def test_a_forbidden_journal_still_gets_priorities_by_stderr(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log.configure("platform", "info")
    log.get("part").warning("first\nsecond")
    assert capfd.readouterr().err == "<4>[part] first\n<4>second\n"


@pytest.mark.usefixtures("place", "own_logger")
def test_a_stderr_of_people_gets_no_priorities(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    log.configure("platform", "info")
    log.get("part").warning("a sentence")
    assert "[warning] [part] a sentence" in capfd.readouterr().err


@pytest.mark.skipif(
    not os.path.exists(journal.SOCKET) or not shutil.which("journalctl"),
    reason="no journal runs here; tests/system has one",
)
def test_journald_itself_understands_a_record() -> None:
    mark = f"multipass-test-{os.getpid()}"
    send = journal.sender()
    assert send is not None
    send("one\ntwo", MULTIPASS_TEST=mark)
    command = ["journalctl", "-o", "cat", f"MULTIPASS_TEST={mark}", "--sync"]
    subprocess.run(["journalctl", "--sync"], check=False)
    shown = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert shown.stdout == "one\ntwo\n"
