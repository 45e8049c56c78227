"""The network's service as a child of a root daemon that was started by hand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from multipassd.network import helper_process, reservations
from multipassd.network.bridge import BRIDGE, tap_name
from multipassd.network.bridge_client import NetworkError
from tests import waiting
from tests.instances.site import SMALL, silent_disk
from tests.multipassd.network import netns
from tests.multipassd.network.handstarted import HandStarted, hand_started
from tests.multipassd.network.netns import Namespace
from tests.multipassd.network.site import ROOT, Site, cards, new_site
from tools.sandbox import MULTIPASS

UNIT = ROOT / "debian/multipass.multipass-network.service"
# Bits of capabilities(7), by number.
BITS = {"kill": 5, "setgid": 6, "setuid": 7, "net_bind_service": 10, "net_admin": 12, "net_raw": 13}

pytestmark = netns.REQUIRED


@pytest.fixture
def disk(tmp_path: Path) -> str:
    if missing := [name for name in ("qemu-system-x86_64", "qemu-img") if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)}")
    return silent_disk(tmp_path / "disk.raw")


def launching(daemon: HandStarted, disk: str) -> subprocess.Popen[str]:
    """An image without a system: it runs, and never answers."""
    began = subprocess.Popen(
        [str(MULTIPASS), "launch", "--name", "foo", *SMALL, disk], env=daemon.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    waiting.until(lambda: "launch of foo: boot" in daemon.log() or began.poll() is not None)
    assert began.poll() is None, (began.communicate(), daemon.log())
    return began


def bridge_members(host: Namespace) -> list[str]:
    return host.run("ls", f"/sys/class/net/{BRIDGE}/brif").split()


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_on_request_instances_have_addresses_and_the_child_the_unit_s_rights(
    site: Site, disk: str
) -> None:
    with hand_started(site, "--network", "bridge") as daemon:
        began = launching(daemon, disk)
        try:
            ((mac, kept),) = reservations.read(daemon.directory).items()
            assert (kept.name, tap_name(mac)) == ("foo", *bridge_members(site.host))
            told = daemon.cli("info", "-v", "foo").stderr
            assert "have no addresses" not in told
            (child,) = daemon.children()
            status = Path(f"/proc/{child}/status").read_text()
            allowed = sum(1 << bit for bit in BITS.values())
            for kind in ("CapBnd", "CapPrm", "CapEff"):
                found = re.search(rf"{kind}:\s+([0-9a-f]+)", status)
                assert found is not None and int(found[1], 16) & ~allowed == 0, status
            assert re.search(r"NoNewPrivs:\s+1", status)
        finally:
            ended(began)
    waiting.until(lambda: not Path(f"/proc/{child}").exists())
    assert BRIDGE not in site.host.links()
    assert site.host.run("nft", "list", "ruleset") == ""


def test_unasked_nothing_of_the_host_is_touched_and_info_tells_why_there_is_no_address(
    site: Site, disk: str
) -> None:
    before = site.host.links()
    with hand_started(site) as daemon:
        began = launching(daemon, disk)
        try:
            told = " ".join(daemon.cli("info", "-v", "foo").stderr.split())
            assert "Instances have no addresses (N/A), as multipassd was started by hand" in told
            assert "`--network=bridge`" in told
            assert (site.host.links(), daemon.children()) == (before, [])
        finally:
            ended(began)


def test_the_child_ends_with_a_daemon_that_is_killed_and_guests_stay_connected(
    site: Site, disk: str
) -> None:
    with hand_started(site, "--network", "bridge") as daemon:
        began = launching(daemon, disk)
        (child,) = daemon.children()
        before = site.host.links()
        daemon.process.kill()
        daemon.process.wait()
        ended(began)
        waiting.until(lambda: not Path(f"/proc/{child}").exists())
        assert site.host.links() == before


def test_another_service_s_bridge_is_left_alone(site: Site) -> None:
    """The package's, or that of another daemon that was started by hand."""
    with site.service(), new_site(site.host) as other, other.service():
        site.attach(cards())
        with pytest.raises(NetworkError, match=f"keeps it for {site.directory}"):
            other.attach(cards("two", "52:54:00:00:00:02"))
        before = site.host.run("nft", "list", "ruleset"), site.host.links()
    assert (site.host.run("nft", "list", "ruleset"), site.host.links()) == before


def test_an_ordinary_user_is_told_that_it_takes_root(copy: Path) -> None:
    socket = Path(f"/tmp/multipass-hand-{os.getpid()}")  # where everybody may make it
    done = subprocess.run(
        [str(copy / "bin/multipassd"), "--network=bridge", "--address", f"unix:{socket}"],
        env={**os.environ, "HOME": "/nonexistent"}, user="nobody", group="nogroup", extra_groups=[],
        capture_output=True, text=True, check=False, timeout=60, cwd="/",
    )  # fmt: skip
    assert done.returncode == 1
    assert "only root may do" in done.stderr, done.stderr
    assert not socket.exists()


def test_the_rights_are_the_unit_s() -> None:
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    allowed = {word.lower() for word in line.split()}
    assert allowed == {f"cap_{name}" for name in helper_process.RIGHTS}
