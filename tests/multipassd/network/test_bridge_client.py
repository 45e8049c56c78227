"""The daemon's side of the network's service, which may end in the middle of a request."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from multipassd.network.bridge_client import ATTEMPTS, BridgedNetworking, NetworkError


async def bridge(socket: Path, ends: int) -> tuple[str, list[str]]:
    """What is answered, and what was asked, when the service ends so many times before it answers,
    by turns with the request read and unread."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(asked)
        asked.append("")
        if number % 2 == 0 or number >= ends:
            asked[-1] = json.loads(await reader.readline())["do"]
        if number >= ends:
            writer.write(b'{"done": "br0"}\n')
        writer.close()

    async with await asyncio.start_unix_server(serve, socket):
        networking = BridgedNetworking(socket, socket.parent, "root")
        return await networking.bridge("eth0"), asked


def test_a_request_in_whose_middle_the_service_ends_is_made_again(tmp_path: Path) -> None:
    assert asyncio.run(bridge(tmp_path / "socket", 1)) == ("br0", ["bridge", "bridge"])


def test_a_service_that_ends_at_each_attempt_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="ended in the middle of its work"):
        asyncio.run(bridge(tmp_path / "socket", ATTEMPTS))
