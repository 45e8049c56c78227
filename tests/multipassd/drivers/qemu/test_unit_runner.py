"""The daemon's side of the machines helper: an answer, and failures of the helper."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu import unit_runner
from multipassd.drivers.qemu.unit_runner import UnitRunner

COMMAND = ["qemu-system-x86_64", "-S"]


def start(tmp_path: Path, answer: bytes, silent: bool = False) -> dict[str, Any]:
    """The request that is received where the helper answers so. Raises DriverError."""
    received: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            received.append(json.loads(await reader.readline()))
            writer.write(answer)
            if silent:
                await reader.read()

    async def story() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "socket"):
            runner = UnitRunner(str(tmp_path / "socket"), tmp_path)
            await runner.start("foo", COMMAND, tmp_path)

    asyncio.run(story())
    return received[0]


def test_a_unit_is_requested_by_name_and_command(tmp_path: Path) -> None:
    request = start(tmp_path, b'{"code": 0, "said": ""}\n')
    assert request == {"do": "start", "name": "foo", "command": COMMAND, "storage": str(tmp_path)}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"code": 1, "said": "no bus\\u001b[2J"}\n', r"no bus\[2J"),
        (b'{"code": 127, "said": "No such file"}\n', "install the package qemu-system-x86"),
        (b'{"code"', "can't be asked at"),
        (b"", "can't be asked at"),
        (b"[]\n", "can't be asked at"),
        (b'{"said": ""}\n', "can't be asked at"),
        (b"x" * (unit_runner.MAX_ANSWER + 1), "can't be asked at .* longer than"),
    ],
    ids=lambda value: value[:20] if isinstance(value, bytes) else "",
)
def test_a_failure_is_a_sentence(tmp_path: Path, answer: bytes, why: str) -> None:
    with pytest.raises(DriverError, match=f"unit of foo could not be started: .*{why}"):
        start(tmp_path, answer)


def test_a_helper_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_runner, "SECONDS", 0.05)
    with pytest.raises(DriverError, match="systemd took too long"):
        start(tmp_path, b"", silent=True)


def test_a_missing_socket_is_a_sentence(tmp_path: Path) -> None:
    runner = UnitRunner(str(tmp_path / "none"), tmp_path)
    # Not with the advice for a missing QEMU.
    with pytest.raises(
        DriverError, match=r"can't be asked at .*/none: No such file or directory\.$"
    ):
        asyncio.run(runner.start("foo", COMMAND, tmp_path))
