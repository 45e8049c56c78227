"""Users without trust who do their worst: they are turned away, and others are served."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from benchmarks.attacks import ATTACKS
from tests.system.people import People
from tests.system.site import EMPTY_LIST, NOT_AUTHENTICATED, Site
from tests.waiting import until
from tools.sandbox import CHECKOUT

MALLORY = 2_000_400_000  # a uid that no account has
MOST = 3000  # handshakes: more work than a burst allows


def turned_away(path: str) -> int:
    """Begin handshakes, many at once, until the service hangs up without an answer; how many it
    has answered by then, at most MOST."""
    hello, answered = client_hello(), 0
    while answered < MOST:
        held = []
        for _ in range(100):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].connect(path)
            with suppress(OSError):
                held[-1].sendall(hello)
        for peer in held:
            with peer:
                peer.settimeout(10)
                try:
                    first = peer.recv(1)
                except ConnectionError:
                    return answered
                if not first:
                    return answered
                answered += 1
    return answered


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def as_mallory(site: Site) -> int:
    """`turned_away` in a process of another user."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresuid(MALLORY, MALLORY, MALLORY)
            os.write(writer, str(turned_away(str(site.sandbox.socket_path))).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        answered = int(told.read())
    os.waitpid(child, 0)
    return answered


@contextmanager
def attack(site: Site, name: str, crowd: int) -> Iterator[None]:
    attackers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.attacks", name,
             str(site.sandbox.socket_path), str(MALLORY + number)],
            cwd=CHECKOUT, stdout=subprocess.PIPE,
        )
        for number in range(crowd)
    ]  # fmt: skip
    try:
        for attacker in attackers:
            assert attacker.stdout is not None and attacker.stdout.readline() == b"READY\n"
        yield
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.communicate()


def test_handshakes_of_one_user_are_rationed_over_its_connections(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(people.alice)
    assert 0 < as_mallory(site) < MOST, "a burst is served"
    assert site.run(people.alice, "list").stdout == EMPTY_LIST
    assert site.run(people.bob, "list").stderr == NOT_AUTHENTICATED
    assert site.daemon.log_text().count(f"uid {MALLORY} has used up") == 1


@pytest.mark.parametrize("name", [each for each in ATTACKS if each != "spin"])
def test_others_are_served_under_attack(site: Site, people: People, name: str) -> None:
    site.start()
    site.enrol_first(people.alice)
    with attack(site, name, 3):
        for _ in range(3):
            assert site.run(people.alice, "list").stdout == EMPTY_LIST
            assert site.run(people.bob, "list").stderr == NOT_AUTHENTICATED
    until(lambda: descriptors(site) < 100, "the attackers' connections to be gone")


def descriptors(site: Site) -> int:
    return len(os.listdir(f"/proc/{site.daemon.pid}/fd"))
