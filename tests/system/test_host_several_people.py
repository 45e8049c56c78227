"""The how-to page of two people on one machine and one on another: each command in it typed as it
stands, on two hosts with a cable between them and instances on QEMU.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.system import cable, host_trust
from tests.system.host import Host, new_host
from tests.system.test_host_how_to import ANYTHING, CONTROL, Step, page, steps
from tests.system.test_host_images import SETTINGS
from tests.system.test_host_instance import DROP_IN
from tests.system.webserver import serve
from tools import cloudimage
from tools.imagetree import PATHS, ImageTree

PORT = 8123
SERVER, LAPTOP = "server", "laptop"
LINE = "mpi1-\u2026"  # what the page has in the place of an invitation
ERASE = "\x1b[2K"  # the line that the cursor is in
PRINTED = re.compile(r"multipass authenticate (mpi1-\S+)")

pytestmark = pytest.mark.host


@dataclass
class Machines:
    """Both hosts, and the invitation that was printed last."""

    server: Host
    laptop: Host
    line: str = field(default="")

    def follow(self, text: str) -> None:
        for step in steps(text):
            self.type(step)

    def type(self, step: Step) -> None:
        user, _, name = step.user.partition("@")
        host = {"": self.server, LAPTOP: self.laptop}[name]
        command = step.command.replace(LINE, self.line)
        session = host_trust.at_terminal(host, user, command, [])
        shown = left_over(session.output)
        if found := PRINTED.search("\n".join(shown)):
            self.line = found[1]
        expected = [line.rstrip() for line in step.printed if line.strip()]
        assert matches(shown, expected), (step, session)
        failed = any(" failed: " in line for line in step.printed)
        assert (session.returncode != 0) == failed, (step, session)


def left_over(output: str) -> list[str]:
    """The lines that a terminal shows in the end, when a spinner has erased itself."""
    lines = [CONTROL.sub("", line.rpartition(ERASE)[2]).rstrip() for line in output.splitlines()]
    return [line for line in lines if line]


def matches(shown: list[str], expected: list[str]) -> bool:
    """Whether it is what the page shows: `...` stands for any lines."""
    if ANYTHING not in expected:
        return shown == expected
    at = expected.index(ANYTHING)
    before, after = expected[:at], expected[at + 1 :]
    return shown[: len(before)] == before and (not after or shown[-len(after) :] == after)


@pytest.fixture
def machines() -> Iterator[Machines]:
    with ExitStack() as stack:
        server = stack.enter_context(new_host(kind="instances"))
        laptop = stack.enter_context(new_host(kind="instances"))
        for host, name in ((server, SERVER), (laptop, LAPTOP)):
            (host.root / "etc/hostname").write_text(f"{name}\n")
            host_trust.let_sudo_ask_nothing(host)
        server.drop_in(DROP_IN)
        (server.root / "etc/tmpfiles.d/tun.conf").write_text("z /dev/net/tun 0666\n")
        ImageTree(server.root / "srv/images").publish(cloudimage.kept())
        server.boot()
        laptop.boot()
        cable.connect([server, laptop])
        serve(server, "/srv/images", PORT)
        base = f"http://127.0.0.1:{PORT}/"
        lines = ["[images]", *(f"remote.{name}={base}{path}/" for name, path in PATHS.items())]
        server.run("install", "-D", "-m", "600", "/dev/stdin", SETTINGS, given="\n".join(lines))
        yield Machines(server, laptop)


def test_what_the_page_says_works_as_written(machines: Machines) -> None:
    machines.follow(page("several-people.md"))
