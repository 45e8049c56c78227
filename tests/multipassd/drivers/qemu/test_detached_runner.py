"""Detached processes: found again, ended only if they are who they were, never half known."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu.detached_runner import DetachedRunner, Identity
from tests.waiting import until

SLEEP = ["sleep", "1000"]


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[DetachedRunner]:
    runner = DetachedRunner(tmp_path / "run")
    yield runner
    for name in runner.names():
        asyncio.run(runner.clear(name))


def pid_of(tmp_path: Path, name: str) -> int:
    return int(json.loads((tmp_path / "run" / f"{name}.json").read_text())["pid"])


def start(runner: DetachedRunner, tmp_path: Path, command: list[str] | None = None) -> None:
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    asyncio.run(runner.start("foo", command or SLEEP, place))


def ended(runner: DetachedRunner) -> None:
    until(lambda: not asyncio.run(runner.alive("foo")))


def test_another_daemon_finds_the_process_and_ends_it(
    runner: DetachedRunner, tmp_path: Path
) -> None:
    start(runner, tmp_path)
    pid = pid_of(tmp_path, "foo")
    later = DetachedRunner(tmp_path / "run")
    assert later.names() == ["foo"]
    assert asyncio.run(later.alive("foo"))
    asyncio.run(later.clear("foo"))
    assert Identity.of(pid) is None
    assert os.listdir(tmp_path / "run") == []


def test_the_process_is_the_program_itself_without_our_terminal(
    runner: DetachedRunner, tmp_path: Path
) -> None:
    start(runner, tmp_path)
    pid = pid_of(tmp_path, "foo")
    until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
    assert os.getsid(pid) == pid
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_a_number_that_another_process_has_by_now_is_not_killed(tmp_path: Path) -> None:
    runner = DetachedRunner(tmp_path / "run")
    (tmp_path / "run/foo").mkdir(parents=True)
    with subprocess.Popen(SLEEP) as bystander:
        identity = Identity.of(bystander.pid)
        assert identity is not None
        for change in ({"started": identity.started - 1}, {"boot": "another"}):
            known = {"pid": identity.pid, "started": identity.started, "boot": identity.boot}
            (tmp_path / "run/foo.json").write_text(json.dumps(known | change))
            assert not asyncio.run(runner.alive("foo"))
            asyncio.run(runner.clear("foo"))
            assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "null"])
def test_a_damaged_note_of_a_process_is_no_process(tmp_path: Path, content: str) -> None:
    runner = DetachedRunner(tmp_path / "run")
    (tmp_path / "run/foo").mkdir(parents=True)
    (tmp_path / "run/foo.json").write_text(content)
    assert not asyncio.run(runner.alive("foo"))
    asyncio.run(runner.clear("foo"))
    assert os.listdir(tmp_path / "run") == []


def test_a_process_that_nobody_wrote_down_never_becomes_the_program(
    runner: DetachedRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the daemon is killed between making it and writing it down."""

    def fail(*_: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr("multipassd.drivers.qemu.detached_runner.write_atomically", fail)
    witness = tmp_path / "ran"
    with pytest.raises(DriverError, match="can't be started"):
        start(runner, tmp_path, ["touch", str(witness)])
    ended(runner)
    assert not witness.exists()


def test_a_missing_program_is_named_with_its_package(
    runner: DetachedRunner, tmp_path: Path
) -> None:
    with pytest.raises(DriverError, match="no-such-qemu is missing.*install the package"):
        start(runner, tmp_path, ["no-such-qemu"])


def test_the_last_words_of_a_process_are_kept(runner: DetachedRunner, tmp_path: Path) -> None:
    start(runner, tmp_path, ["sh", "-c", "echo first; echo last >&2; exit 1"])
    ended(runner)
    assert asyncio.run(runner.last_output("foo")) == "last"


def test_a_process_that_never_stops_complaining_fills_no_disk(
    runner: DetachedRunner, tmp_path: Path
) -> None:
    flood = "yes complaint | head -c 20M >&2; echo last words >&2; exec sleep 1000"
    start(runner, tmp_path, ["sh", "-c", flood])
    log = tmp_path / "run/foo.log"
    until(
        lambda: (
            asyncio.run(runner.last_output("foo")) == "last words" and log.stat().st_size <= 2 << 20
        ),
        "its last words in a short log",
        seconds=60.0,
    )


def test_the_end_of_the_host_is_left_to_the_keeper_which_ends_with_its_process(
    runner: DetachedRunner, tmp_path: Path
) -> None:
    start(runner, tmp_path)
    pid = pid_of(tmp_path, "foo")
    keeper = next(each for each in children() if is_keeper(each))
    os.kill(pid, signal.SIGTERM)  # as systemd ends a shutdown
    assert asyncio.run(runner.alive("foo"))
    asyncio.run(runner.clear("foo"))
    assert Identity.of(keeper) is None


def children() -> list[int]:
    lists = Path("/proc/self/task").glob("*/children")
    return [int(word) for each in lists for word in each.read_text().split()]


def is_keeper(pid: int) -> bool:
    return b"multipass-power-down" in Path(f"/proc/{pid}/cmdline").read_bytes()
