"""The stop of a machine's unit, against a monitor that speaks as QEMU does."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from multipassd.drivers.qemu import powerdown
from multipassd.drivers.qemu.powerdown import NO_USE, OFF, STILL_ON, main, power_down

SECONDS = 20.0  # more than any of these needs
GREETING: dict[str, object] = {"QMP": {"version": {}, "capabilities": []}}
Guest = Callable[[int], bool]  # told how often its button was pressed; True: it goes off


@contextmanager
def monitor(path: Path, guest: Guest) -> Iterator[list[str]]:
    """What it was asked to do."""
    asked: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, guest, asked))
        thread.start()
        yield asked
        thread.join(SECONDS)
        assert not thread.is_alive()


def _serve(listener: socket.socket, guest: Guest, asked: list[str]) -> None:
    connection, _ = listener.accept()
    # Who gives up hangs up.
    with suppress(BrokenPipeError), connection, connection.makefile("rw") as lines:
        print(json.dumps(GREETING), file=lines, flush=True)
        for line in lines:
            asked.append(json.loads(line)["execute"])
            print(json.dumps({"return": {}}), file=lines, flush=True)
            if guest(asked.count("system_powerdown")):
                return


def test_it_waits_until_the_guest_is_off(tmp_path: Path) -> None:
    with monitor(tmp_path / "stop", lambda pressed: pressed == 1) as asked:
        assert main([str(tmp_path / "stop"), "20"]) == OFF
    assert asked == ["qmp_capabilities", "system_powerdown"]


def test_a_guest_that_was_still_booting_has_its_button_pressed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(powerdown, "PRESS_SECONDS", 0.01)
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
    assert main(["only one"]) == NO_USE
    assert "Usage: " in capsys.readouterr().err
