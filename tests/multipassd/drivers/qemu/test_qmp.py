"""The monitor of a real QEMU, of a machine with nothing in it; and of one that lies."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from multipassd.drivers.qemu.qmp import Monitor, MonitorError

QEMU = "qemu-system-x86_64"
SECONDS = 60.0
GREETING, NEGOTIATED = b'{"QMP": {}}\n', b'{"return": {}, "id": 1}\n'


@pytest.fixture
def monitored(qemu: None, tmp_path: Path) -> Iterator[Path]:
    """The monitor's socket of a QEMU without a machine."""
    path = tmp_path / "qmp"
    process = subprocess.Popen(
        [
            QEMU, "-machine", "none", "-nodefaults", "-display", "none", "-S",
            "-chardev", f"socket,id=m,path={path},server=on,wait=off",
            "-mon", "chardev=m,mode=control",
        ]
    )  # fmt: skip
    yield path
    process.kill()
    process.wait()


async def connected(path: Path) -> Monitor:
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return await Monitor.connect(path)
            except OSError:
                await asyncio.sleep(0.02)


def with_monitor(path: Path, story: Callable[[Monitor], Awaitable[None]]) -> None:
    async def run() -> None:
        monitor = await connected(path)
        try:
            async with asyncio.timeout(SECONDS):
                await story(monitor)
        finally:
            monitor.close()

    asyncio.run(run())


def with_liar(path: Path, said: bytes, story: Callable[[Monitor], Awaitable[None]]) -> None:
    """A socket that greets like QEMU and then says something of its own."""

    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            writer.write(GREETING)
            await reader.readline()
            writer.write(NEGOTIATED)
            await reader.readline()  # the first command
            writer.write(said)
            await reader.read()

    async def run() -> None:
        server = await asyncio.start_unix_server(lie, path)
        monitor = await Monitor.connect(path)
        async with asyncio.timeout(SECONDS):
            await story(monitor)
        monitor.close()
        server.close()

    asyncio.run(run())


def test_commands_are_answered_each_to_its_asker(monitored: Path) -> None:
    async def story(monitor: Monitor) -> None:
        asked = [monitor.execute("query-status") for _ in range(20)]
        answers = await asyncio.gather(*asked, monitor.execute("query-version"))
        assert all(answer["status"] == "prelaunch" for answer in answers[:-1])
        assert answers[-1]["qemu"]["major"] >= 7

    with_monitor(monitored, story)


def test_what_qemu_refuses_is_told_in_its_words(monitored: Path) -> None:
    async def story(monitor: Monitor) -> None:
        with pytest.raises(MonitorError, match="no-such-command"):
            await monitor.execute("no-such-command")
        with pytest.raises(MonitorError):
            await monitor.run_job("snapshot-delete", tag="x", devices=["disk"])
        await monitor.execute("query-status")  # goes on

    with_monitor(monitored, story)


def test_the_end_is_seen_with_its_reason(monitored: Path) -> None:
    async def story(monitor: Monitor) -> None:
        await monitor.execute("quit")
        await monitor.closed
        assert monitor.shutdown_reason == "host-qmp-quit"
        with pytest.raises(MonitorError, match="ended"):
            await monitor.execute("query-status")

    with_monitor(monitored, story)


def test_a_socket_without_a_listener_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        asyncio.run(Monitor.connect(tmp_path / "qmp"))


def test_one_that_does_not_greet_is_given_up(tmp_path: Path) -> None:
    async def run() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with closing(writer):
                await reader.read()

        server = await asyncio.start_unix_server(silent, tmp_path / "qmp")
        with pytest.raises(TimeoutError):
            await Monitor.connect(tmp_path / "qmp", 0.05)
        server.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "said",
    [
        b"not JSON\n",
        b"[]\n",
        b'"text"\n',
        b'{"id": 2, "error": 3}\n',
        b'{"event": "SHUTDOWN", "data": null}\n',
        b'{"event": "JOB_STATUS_CHANGE", "data": 5}\n',
        b'{"id": [], "return": 1}\n',
        b"[" * 100_000 + b"\n",
        b"x" * (2 << 20),
        b"",
        json.dumps({"id": 99, "return": {}}).encode() + b"\n",
    ],
    ids=lambda said: said[:40].decode(),
)
def test_nonsense_ends_the_connection_or_is_passed_over_and_hangs_nobody(
    tmp_path: Path, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(monitor: Monitor) -> None:
        # Not before it is connected: that takes as long as it takes.
        monkeypatch.setattr("multipassd.drivers.qemu.qmp.COMMAND_SECONDS", 0.5)
        with pytest.raises(MonitorError):
            await monitor.execute("query-status")

    with_liar(tmp_path / "qmp", said, story)


def test_what_it_says_is_fit_for_a_terminal(tmp_path: Path) -> None:
    said = {"id": 2, "error": {"desc": "\x1b]0;owned\x07no\u202ews" + "x" * 9999}}

    async def story(monitor: Monitor) -> None:
        with pytest.raises(MonitorError) as refused:
            await monitor.execute("query-status")
        assert str(refused.value).isprintable() and len(str(refused.value)) < 1000

    with_liar(tmp_path / "qmp", json.dumps(said).encode() + b"\n", story)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    said = {"event": "BLOCK_IO_ERROR", "data": {"nospace": True, "action": "stop"}}

    async def story(monitor: Monitor) -> None:
        told = asyncio.Event()
        monitor.on_full_disk = told.set
        asking = asyncio.create_task(monitor.execute("query-status"))
        await told.wait()
        asking.cancel()

    with_liar(tmp_path / "qmp", json.dumps(said).encode() + b"\n", story)
