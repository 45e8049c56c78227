"""`networks`, and launches on networks, by the real commands at a daemon with user networking."""

from __future__ import annotations

import json

from multipassd.network import interfaces
from tests.conftest import DaemonFactory
from tools.daemon import Daemon

UNSET = 'You have to `multipass set local.bridged-network=<name>` to use the "bridged" shortcut.'


def refused(service: Daemon, *words: str) -> str:
    done = service.cli("alice", "launch", *words)
    assert (done.returncode, done.stdout.strip()) == (2, "")
    return done.stderr.rstrip("\n")


def test_networks_are_those_of_the_host(daemon: DaemonFactory) -> None:
    service = daemon()
    shown = json.loads(service.cli("alice", "networks", "--format", "json").stdout)
    expected = [
        {"description": each.description, "name": each.name, "type": each.type}
        for each in interfaces.read()
    ]
    assert shown == {"list": expected}


def test_networks_that_are_none_end_a_launch_before_it_begins(daemon: DaemonFactory) -> None:
    service = daemon()
    said = refused(service, "--network", "nonesuch0")
    assert "\nInvalid network options supplied\n" in said
    assert refused(service, "--bridged") == f"launch failed: {UNSET}"
    service.cli("alice", "set", "local.bridged-network=nonesuch0")
    assert "Invalid network 'nonesuch0' set as bridged" in refused(service, "--bridged")
    assert service.cli("alice", "list").stdout == "No instances found.\n"
