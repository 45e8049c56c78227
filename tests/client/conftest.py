"""A client of a foreign service, and terminals that are closed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.program import Program
from tests.client.service import Answer, Connect, Service
from tests.client.test_prompts import Terminal


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """connect(**answers): a client and the foreign service that it talks to."""
    services = []

    def start(**answers: Answer) -> tuple[Program, Service]:
        address = f"unix:{tmp_path}/socket"
        services.append(Service(address, tmp_path, **answers))
        program = Program(tmp_path / "home", address, services[0].root_certificate)
        program.environ["TZ"] = "Europe/Berlin"
        return program, services[0]

    yield start
    for service in services:
        service.close()


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()
