"""The stop of a machine's unit, against a monitor that speaks as QEMU does."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from multipassd.drivers.qemu import power_button
from multipassd.drivers.qemu.helper.power_down import (
    OFF,
    STILL_ON,
    USAGE_ERROR,
    main,
)
from multipassd.drivers.qemu.power_button import power_down, switch_off
from multipassd.drivers.qemu.shared_names import AT_SIGTERM
from tools.sandbox import CHECKOUT

SECONDS = 20.0  # more than any of these needs
GREETING: dict[str, object] = {"QMP": {"version": {}, "capabilities": []}}
Guest = Callable[[int], bool]  # told how often its button was pressed; True: it goes off


@contextmanager
def monitor(path: Path, guest: Guest, callers: int = 1) -> Iterator[list[str]]:
    """What it was asked to do, by one caller after the other."""
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, guest, callers, asked))
        thread.start()
        yield asked
        thread.join(SECONDS)
        assert not thread.is_alive()


def _serve(listener: socket.socket, guest: Guest, callers: int, asked: list[str]) -> None:
    for _ in range(callers):
        _answer(listener.accept()[0], guest, asked)


def _answer(connection: socket.socket, guest: Guest, asked: list[str]) -> None:
    # Who gives up hangs up.
    with suppress(BrokenPipeError), connection, connection.makefile() as lines:
        connection.sendall(json.dumps(GREETING).encode() + b"\n")
        for line in lines:
            asked.append(json.loads(line)["execute"])
            connection.sendall(b'{"return": {}}\n')
            if guest(asked.count("system_powerdown")):
                return


def test_it_waits_until_the_guest_is_off(tmp_path: Path) -> None:
    with monitor(tmp_path / "stop", lambda pressed: pressed == 1) as asked:
        assert main([str(tmp_path / "stop"), "20"]) == OFF
    assert asked == ["qmp_capabilities", "system_powerdown"]


def test_a_guest_that_was_still_booting_has_its_button_pressed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(power_button, "PRESS_SECONDS", 0.01)
    with monitor(tmp_path / "stop", lambda pressed: pressed == 3):
        assert power_down(str(tmp_path / "stop"), SECONDS)


def test_a_guest_that_ignores_it_is_left_to_the_unit(tmp_path: Path) -> None:
    with monitor(tmp_path / "stop", lambda pressed: False):
        assert main([str(tmp_path / "stop"), "1"]) == STILL_ON


def test_one_that_has_ended_is_off(tmp_path: Path) -> None:
    assert power_down(str(tmp_path / "none"), SECONDS)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    assert power_down(str(tmp_path / "dead"), SECONDS)


def test_wrong_words_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["only one"]) == USAGE_ERROR
    assert "Usage: " in capsys.readouterr().err


@contextmanager
def keeper(path: Path, seconds: str = "20") -> Iterator[subprocess.Popen[bytes]]:
    """Beside a machine whose monitor is at `path`; that has ended once its stdin has."""
    program = str(CHECKOUT / "bin/multipass-power-down")
    words = [sys.executable, "-I", "-S", program, AT_SIGTERM, str(path), seconds]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        one = subprocess.Popen(words, stdin=subprocess.PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with one:
        yield one
        one.kill()


def test_sigterm_has_the_button_pressed_by_who_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    with monitor(path, lambda pressed: pressed == 1) as asked, keeper(path) as one:
        one.terminate()  # perhaps before it is up
        assert one.wait(SECONDS) == OFF
    assert asked == ["qmp_capabilities", "system_powerdown"]


def test_a_guest_that_ignores_the_hosts_shutdown_is_switched_off(tmp_path: Path) -> None:
    path = tmp_path / "stop"
    with monitor(path, lambda _: "quit" in asked, callers=2) as asked, keeper(path, "1") as one:
        one.terminate()
        assert one.wait(SECONDS) == OFF
    assert asked[-2:] == ["qmp_capabilities", "quit"]
    switch_off(str(tmp_path / "gone"))


def test_who_waits_for_sigterm_ends_with_its_machine(tmp_path: Path) -> None:
    with keeper(tmp_path / "stop") as one:
        assert one.stdin is not None
        one.stdin.close()
        assert one.wait(SECONDS) == OFF
