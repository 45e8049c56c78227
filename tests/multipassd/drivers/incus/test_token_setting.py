"""`multipass set local.incus.token` by the real client and daemon, with the fake of Incus."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.incus.api import membership
from tests.conftest import DaemonFactory
from tests.multipassd.drivers.incus.fake_incus import FakeIncus
from tests.multipassd.drivers.incus.fake_thread import served
from tests.waiting import until
from tools import terminal
from tools.daemon import Daemon
from tools.sandbox import CHECKOUT, MULTIPASS, Sandbox

ASK = "Please enter the token: "
KEY = "local.incus.token"


@pytest.fixture
def fake(sandbox: Sandbox) -> Iterator[FakeIncus]:
    with served(FakeIncus(sandbox.data / "incus", members=2)) as running:
        yield running


@pytest.fixture
def running(daemon: DaemonFactory, sandbox: Sandbox) -> Daemon:
    return daemon(sandbox=sandbox, options=["-V", "trace"])


def test_a_token_is_asked_for_without_echo_and_never_shown(
    fake: FakeIncus, running: Daemon, sandbox: Sandbox
) -> None:
    token = fake.token()
    assert running.cli("alice", "get", KEY).stdout == "false\n"
    said = terminal.converse([str(MULTIPASS), "set", KEY], [(ASK, token)], running.env("alice"))
    assert said.returncode == 0, said
    assert said.output.startswith(f"{ASK}\n") and token[:20] not in said.output, "echo is off"
    assert running.cli("alice", "get", KEY).stdout == "true\n"
    found = membership.read(sandbox.data / "incus")
    assert found is not None and len(found.addresses) == 2
    assert not sandbox.settings_path.exists()
    assert token not in running.log_text() and token[-40:] not in running.log_text()


def test_a_token_on_the_command_line_keeps_its_last_characters(
    fake: FakeIncus, running: Daemon
) -> None:
    token = next(each for each in iter(fake.token, "") if each.endswith("="))
    said = running.cli("alice", "set", f"{KEY}={token}")
    assert (said.returncode, said.stderr) == (0, "")
    assert running.cli("alice", "get", "--keys").stdout.count(KEY) == 1
    assert running.cli("alice", "set", f"{KEY}=").returncode == 0
    assert running.cli("alice", "get", KEY).stdout == "false\n"


def test_a_token_that_fails_is_not_quoted(fake: FakeIncus, running: Daemon) -> None:
    token = fake.token(addresses=["127.0.0.1:1"])
    for text in (token, token[:-8], "x"):
        said = running.cli("alice", "set", f"{KEY}={text}")
        assert said.returncode == 2 and said.stderr.startswith("set failed: ")
        assert token[20:60] not in said.stderr and "Traceback" not in running.log_text()
    assert running.cli("alice", "get", KEY).stdout == "false\n"


@pytest.mark.parametrize("driver", ["qemu", "incus"])
def test_a_reload_loads_the_driver_that_is_chosen(
    fake: FakeIncus, running: Daemon, driver: str
) -> None:
    assert running.cli("alice", "set", f"{KEY}={fake.token()}").returncode == 0
    assert running.cli("alice", "set", f"local.driver={driver}").returncode == 0
    running.restart()
    os.kill(running.pid, signal.SIGHUP)
    until(lambda: "reloaded" in running.log_text(), "a reload")
    assert "could not be loaded" not in running.log_text()
    mapped = Path(f"/proc/{running.pid}/maps").read_text()
    assert ("_http_parser" in mapped) == (driver == "incus")  # of aiohttp


def test_without_aiohttp_the_error_says_what_to_install() -> None:
    script = (
        "import asyncio, sys; sys.modules['aiohttp'] = None\n"
        "from pathlib import Path\n"
        "from multipassd.backend import Machines\n"
        "from multipassd.settings.settings import Settings\n"
        "machines = Machines({}, Path('/nowhere'), Settings(Path('/nowhere/conf')))\n"
        "try:\n"
        "    asyncio.run(machines.cluster.join('x'))\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert "apt install python3-aiohttp" in done.stdout
