"""A client of a foreign service, and terminals that are closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.program import Program
from tests.client.service import Answer, Connect, Service
from tests.client.terminal import Terminal


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """connect(tcp=False, **answers): a client and the foreign service that it talks to."""
    services = []

    def start(tcp: bool = False, **answers: Answer) -> tuple[Program, Service]:
        address = "127.0.0.1:0" if tcp else f"unix:{tmp_path}/socket"
        service = Service(address, tmp_path, **answers)
        services.append(service)
        named = f"127.0.0.1:{service.port}" if tcp else address
        program = Program(tmp_path / "home", named, service.root_certificate)
        program.environ["TZ"] = "Europe/Berlin"
        return program, service

    yield start
    for service in services:
        service.close()


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()
