"""The how-to page of a cluster: each command in it typed as it stands, on two Debian 13 hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.system import host_trust
from tests.system.bridged_namespace import BRIDGE
from tests.system.host import Host
from tests.system.incus_cluster import ADDRESS, Cluster, Member, unformed
from tests.system.test_host_how_to import Step, page, sections, steps
from tests.system.test_host_images import SETTINGS
from tests.system.test_host_several_people import left_over, matches
from tests.system.webserver import serve
from tests.waiting import until
from tools import containerimage
from tools.imagetree import PATHS, ImageTree

PORT = 8123
PATIENCE = 120.0  # seconds; a member counts as dead after 11
TOKEN = "eyJ\u2026"  # what the page has in the place of one
PRINTED = re.compile(r"^(eyJ\S+)$", re.MULTILINE)
AT_HOME = "/home/alice/multipass_1_all.deb"
LEASES = ("--port=0", "--bind-interfaces", "--keep-in-foreground", "--conf-file=/dev/null",
          f"--interface={BRIDGE}", "--leasefile-ro",
          f"--dhcp-range={ADDRESS.format(100)},{ADDRESS.format(200)},1h")  # fmt: skip

pytestmark = pytest.mark.host


@dataclass
class Machines:
    """The hosts, and the token that was printed last."""

    fabric: Cluster
    token: str = field(default="")

    def follow(self, text: str) -> None:
        for step in steps(text):
            self.type(step)

    def type(self, step: Step) -> None:
        user, _, name = step.user.partition("@")
        command = step.command.replace(TOKEN, self.token)
        session = host_trust.at_terminal(self.fabric.named(name), user, command, [])
        shown = left_over(session.output)
        if found := PRINTED.search("\n".join(shown)):
            self.token = found[1]
        expected = [line.rstrip() for line in step.printed if line.strip()]
        assert matches(shown, expected), (step, session)
        failed = any(" failed: " in line for line in step.printed)
        assert (session.returncode != 0) == failed, (step, session)

    @property
    def service(self) -> Member:
        return self.fabric.member(1)


@pytest.fixture
def machines(incus_base: Host) -> Iterator[Machines]:
    with unformed(incus_base, members=2) as fabric:
        for member in fabric.members:
            (member.root / "etc/hostname").write_text(f"{member.name}\n")
            host_trust.let_sudo_ask_nothing(member)
        service = fabric.member(1)
        ImageTree(service.root / "srv/images").publish(
            containerimage.kept_root(), item="root.tar.xz"
        )
        fabric.boot()
        service.give_package(AT_HOME)
        serve(service, "/srv/images", PORT)
        base = f"http://127.0.0.1:{PORT}/"
        lines = ["[images]", *(f"remote.{name}={base}{path}/" for name, path in PATHS.items())]
        service.run("install", "-D", "-m", "600", "/dev/stdin", SETTINGS, given="\n".join(lines))
        for member in fabric.members:
            member.add_card(f"{member.name}-lan", "eth1")
        with serving_addresses(fabric):
            yield Machines(fabric)


@contextmanager
def serving_addresses(fabric: Cluster) -> Iterator[None]:
    """By DHCP, in the network that the hosts share."""
    server = subprocess.Popen([*fabric.entering, "dnsmasq", *LEASES])
    try:
        yield
    finally:
        server.terminate()
        server.wait()


@pytest.mark.skipif(shutil.which("dnsmasq") is None, reason="needs dnsmasq")
def test_what_the_page_says_works_as_written(machines: Machines) -> None:
    for section in sections(page("cluster.md")):
        if section.startswith("When a host dies"):
            with dead(machines.fabric.member(2), machines):
                machines.follow(section)
        else:
            machines.follow(section)


@contextmanager
def dead(member: Member, machines: Machines) -> Iterator[None]:
    """Without power, and with it again afterwards."""
    machines.service.run("incus", "config", "set", "cluster.offline_threshold=11")
    member.kill()
    until(lambda: listed(machines) == ["db,Unknown", "web,Running"], "it", seconds=PATIENCE)
    yield
    member.boot()
    member.add_card(f"{member.name}-lan", "eth1")
    until(lambda: listed(machines) == ["db,Running", "web,Running"], "it", seconds=PATIENCE)


def listed(machines: Machines) -> list[str]:
    """Names and states."""
    rows = machines.service.run("multipass", "list", "--format", "csv", user="alice").stdout
    found = [row.split(",") for row in rows.splitlines()]
    return sorted(f"{row[0]},{row[1]}" for row in found if row[0] in ("db", "web"))
