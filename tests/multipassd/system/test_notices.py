"""Notices to the service manager, as they arrive."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from multipassd.system.notices import Manager
from tools.sandbox import Sandbox


def _receiver(path: Path) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(path))
    receiver.settimeout(5)
    return receiver


def test_a_status_arrives_as_one_line_of_ascii(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sdnotify writes Latin-1 and loses what that can't say; systemd reads UTF-8."""
    path = sandbox.root / "n"
    with _receiver(path) as receiver:
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        Manager().ready("1 trusted client, /srv/é€\nREADY=0")
        assert receiver.recv(4096) == b"READY=1\nSTATUS=1 trusted client, /srv/?? READY=0"


def test_an_abstract_socket_is_served_too(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"multipass-test-{sandbox.root.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Manager().status("here")
        assert receiver.recv(4096).decode() == "STATUS=here"


def test_a_manager_that_went_away_is_no_error(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(sandbox.root / "gone"))
    Manager().ready("alone")


def test_a_manager_that_does_not_read_hangs_nobody(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("multipassd.system.notices.NOTIFY_TIMEOUT", 0.01)
    path = sandbox.root / "n"
    with _receiver(path):
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        manager = Manager()
        for _ in range(400):  # more than a socket's queue takes
            manager.status("busy")


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Manager().ready("alone")
