"""The journal's native protocol, read back by a socket in journald's place; and by journald."""

from __future__ import annotations

import array
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.system import journal, log
from tools.sandbox import Sandbox

RECEIVE = 1 << 20


@pytest.fixture
def place(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = sandbox.root / "journal"
    monkeypatch.setattr(journal, "SOCKET", str(path))
    yield path


@pytest.fixture
def journald(place: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(place))
        receiver.settimeout(5)
        yield receiver


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the snap."""
    monkeypatch.setitem(sys.modules, "systemd", None)


def received(journald: socket.socket) -> bytes:
    size = array.array("i", [0])
    data, ancillary, _, _ = journald.recvmsg(RECEIVE, socket.CMSG_SPACE(size.itemsize))
    if not ancillary:
        return data
    assert not data
    (descriptor,) = array.array("i", ancillary[0][2])
    with open(descriptor, "rb") as file:
        file.seek(0)
        with pytest.raises(PermissionError):
            os.write(descriptor, b"more")
        return file.read()


def test_plain_values_are_lines_and_others_carry_their_length() -> None:
    assert journal.encode({"MESSAGE": "a €", "EXCEPTION": "x\ny"}) == (
        "MESSAGE=a €\n".encode() + b"EXCEPTION\n\x03\0\0\0\0\0\0\0x\ny\n"
    )


def test_a_line_break_can_not_forge_a_field() -> None:
    assert b"\nPRIORITY=" in journal.encode({"MESSAGE": "a\nPRIORITY=0"})
    assert journal.encode({"MESSAGE": "a\nPRIORITY=0"})[:8] == b"MESSAGE\n"


@pytest.mark.usefixtures("no_library")
def test_a_record_arrives_without_the_library(journald: socket.socket) -> None:
    send = journal.sender()
    assert send is not None
    send("hello", PRIORITY="6")
    assert received(journald) == b"MESSAGE=hello\nPRIORITY=6\n"


@pytest.mark.usefixtures("no_library")
def test_a_record_too_large_for_a_datagram_arrives_as_sealed_memory(
    journald: socket.socket,
) -> None:
    send = journal.sender()
    assert send is not None
    text = "x" * (1 << 19)
    send(text, PRIORITY="3")
    assert received(journald) == f"MESSAGE={text}\nPRIORITY=3\n".encode()


@pytest.mark.usefixtures("no_library")
def test_a_restarted_journal_gets_the_next_record(journald: socket.socket, place: Path) -> None:
    send = journal.sender()
    assert send is not None
    place.unlink()
    with pytest.raises(OSError):
        send("lost")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as successor:
        successor.bind(str(place))
        send("kept")
        assert received(successor) == b"MESSAGE=kept\n"


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
    journal.NativeSender(journal.SOCKET).send("one\ntwo", MULTIPASS_TEST=mark)
    command = ["journalctl", "-o", "cat", f"MULTIPASS_TEST={mark}", "--sync"]
    subprocess.run(["journalctl", "--sync"], check=False)
    shown = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert shown.stdout == "one\ntwo\n"
