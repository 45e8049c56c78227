"""A service whose instance is a real SSH server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.messages.information import DetailedInfoItem, InfoReply
from tests.client.guests.background import Background
from tests.client.guests.sshd import Sshd, keeping, missing, reached_by
from tests.client.program import Program
from tests.client.service import Service, replying


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if missing():
        pytest.skip(missing())
    started = Sshd(tmp_path_factory.mktemp("sshd"))
    yield started
    started.close()


@pytest.fixture
def service(server: Sshd, tmp_path: Path) -> Iterator[Service]:
    """A service whose instance `guest` is the SSH server."""
    started = Service(
        f"unix:{tmp_path}/socket",
        tmp_path,
        info=replying(InfoReply(details=[DetailedInfoItem(name="guest")])),
        ssh_info=reached_by(server.info),
        host_keys=keeping(server.host_key),
    )
    yield started
    started.close()


@pytest.fixture
def program(service: Service, tmp_path: Path) -> Program:
    made = Program(tmp_path / "home", f"unix:{tmp_path}/socket", service.root_certificate)
    for name in ("run", "tmp"):
        (tmp_path / name).mkdir(mode=0o700)
    made.environ |= {"XDG_RUNTIME_DIR": str(tmp_path / "run"), "TMPDIR": str(tmp_path / "tmp")}
    return made


@pytest.fixture
def background() -> Iterator[list[Background]]:
    begun: list[Background] = []
    yield begun
    for each in begun:
        each.close()
