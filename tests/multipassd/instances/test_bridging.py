"""`set local.NAME.bridged=true`: asked for, permitted, done. What a bridge costs the host is the
network service's to know; here one stands in that only says what it was asked.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.network import interfaces
from tests.conftest import DaemonFactory
from tools import records
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS, Sandbox
from tools.terminal import converse

MAC = "52:54:00:00:00:01"
QUESTION = "Do you want to continue (yes/no)? "
REFUSED = "Cannot update instance settings; instance: foo; reason: "


class Network(socketserver.ThreadingUnixStreamServer):
    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Asked)
        self.requests: list[dict[str, str]] = []
        self.answer: dict[str, str] = {"done": "br-test"}


class Asked(socketserver.StreamRequestHandler):
    server: Network

    def handle(self) -> None:
        self.server.requests.append(json.loads(self.rfile.readline()))
        self.wfile.write(json.dumps(self.server.answer).encode() + b"\n")


@pytest.fixture
def network(sandbox: Sandbox) -> Iterator[Network]:
    with Network(sandbox.root / "network.sock") as network:
        thread = threading.Thread(target=network.serve_forever, args=(0.05,))
        thread.start()
        yield network
        network.shutdown()
        thread.join()


@pytest.fixture
def device() -> str:
    """One of this machine's, which nothing happens to."""
    for each in interfaces.read():
        if each.type == interfaces.ETHERNET and not each.bridge:
            return each.name
    pytest.skip("this machine has no ethernet device")


@pytest.fixture
def service(daemon: DaemonFactory, sandbox: Sandbox, network: Network, device: str) -> Daemon:
    record = records.make("foo", 1)
    records.put(sandbox, record)
    content = Seed("foo", "foo-1", "#cloud-config\n{}\n", (Interface(record.mac),))
    seed.write(seed_of(sandbox), content)
    environment = {
        "MULTIPASS_NETWORK_SOCKET": str(network.server_address),
        "MULTIPASS_NETWORK_DIRECTORY": str(sandbox.root),
        "MULTIPASS_MACHINES_SOCKET": str(sandbox.root / "nobody.sock"),
    }
    running = daemon(sandbox=sandbox, env=environment)
    assert running.cli("alice", "set", f"local.bridged-network={device}").returncode == 0
    return running


def seed_of(sandbox: Sandbox) -> Path:
    return records.registry(sandbox).place("foo") / "seed.iso"


def at_terminal(service: Daemon, answer: str) -> tuple[int, str]:
    command = [str(MULTIPASS), "set", "local.foo.bridged=true"]
    talk = converse(command, [(QUESTION, answer)], service.env())
    return talk.returncode, talk.output


def bridged(service: Daemon) -> str:
    return service.cli("alice", "get", "local.foo.bridged").stdout


def test_with_permission_the_instance_gets_a_card_and_is_told_of_it(
    service: Daemon, network: Network, device: str
) -> None:
    before = seed.read(seed_of(service.sandbox))
    code, output = at_terminal(service, "yes")
    assert (code, f"create a bridge to connect to {device}." in output) == (0, True)
    assert network.requests == [{"do": "bridge", "device": device}]
    assert bridged(service) == "true\n"
    known = records.registry(service.sandbox)
    known.load()
    (card,) = known.get("foo").networks
    assert (card.name, card.configured) == (device, True)

    after = seed.read(seed_of(service.sandbox))
    told = yaml.safe_load(after["network-config"])["ethernets"]
    assert [each["match"]["macaddress"] for each in told.values()] == [MAC, card.mac]
    assert yaml.safe_load(after["vendor-data"])["updates"]["network"]["when"]
    assert (after["meta-data"], after["user-data"]) == (before["meta-data"], before["user-data"])


def test_without_permission_nothing_happens(service: Daemon, network: Network, device: str) -> None:
    why = f"{REFUSED}Need user authorization to bridge {device}"
    code, output = at_terminal(service, "no")
    assert (code, why in output) == (2, True)
    # Without a terminal there is no question.
    done = service.cli("alice", "set", "local.foo.bridged=true")
    assert (done.returncode, done.stderr) == (2, f"set failed: {why}\n")
    assert network.requests == []
    assert bridged(service) == "false\n"


def test_a_bridge_that_fails_is_told_and_leaves_the_instance_as_it_was(
    service: Daemon, network: Network, device: str
) -> None:
    network.answer = {"error": "The wire is cut."}
    code, output = at_terminal(service, "yes")
    assert (code, f"{REFUSED}Failure to bridge {device}: The wire is cut." in output) == (2, True)
    assert bridged(service) == "false\n"


def test_a_network_that_is_not_there_is_named(service: Daemon) -> None:
    service.cli("alice", "set", "local.bridged-network=nowhere9")
    done = service.cli("alice", "set", "local.foo.bridged=true")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "set failed: Invalid network 'nowhere9' set as bridged interface, use "
    )
