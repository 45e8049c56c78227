"""The Incus clusters of the tests themselves: formed, limited to a project, restored after a power
cut, and the tiny container image in them."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.cloudinit.seed import Interface, Seed, files
from tests.system.host import Host
from tests.system.incus_cluster import NETWORK, PROJECT, Cluster, Member, cluster
from tests.waiting import until
from tools import containerimage

IMAGE = "/root/tiny.tar.gz"
MAC = "52:54:00:12:34:56"
SEED_PLACE = "/var/lib/cloud/seed/nocloud"
FINISHED = "/var/lib/cloud/instance/boot-finished"
KEPT = ("--project", PROJECT)
OPTIONS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def fabric(incus_base: Host) -> Iterator[Cluster]:
    with cluster(incus_base, members=2) as formed:
        yield formed


def test_a_tiny_container_reads_its_seed_and_lets_its_key_in(
    fabric: Cluster, tmp_path: Path
) -> None:
    first = fabric.member(1)
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    run_foo(first, key.with_suffix(".pub").read_text().strip())
    fabric.route_to_guests()
    log_in = ("ssh", *OPTIONS, "-i", str(key))
    asked = ("hostname; sudo id -u",)
    address = guest_address(first, "foo")
    direct = said([*fabric.entering, *log_in, f"ubuntu@{address}", *asked])
    entering = (*first.entering(), "incus", "exec", "-T", "foo", *KEPT, "--", "/usr/sbin/sshd -i")
    through = said([*log_in, "-o", f"ProxyCommand={' '.join(entering)}", "ubuntu@foo", *asked])
    assert direct == through == "foo\n0\n"
    first.run("incus", "stop", "foo", *KEPT)
    assert fabric.instances()["foo"]["status"] == "Stopped"


def run_foo(member: Member, key: str) -> None:
    """By hand, as the driver does it; returns once it has booted."""
    shutil.copyfile(containerimage.kept(), f"{member.root}{IMAGE}")
    member.run("incus", "image", "import", IMAGE, *KEPT, "--alias", "tiny")
    devices = {
        "root": {"type": "disk", "path": "/", "pool": "default"},
        "eth0": {"type": "nic", "name": "eth0", "network": NETWORK, "hwaddr": MAC},
    }
    where = ("--target", member.name)
    member.run(
        "incus", "init", "tiny", "foo", *KEPT, *where, given=json.dumps({"devices": devices})
    )
    for name, content in files(Seed("foo", "foo-1", user_data_for(key), (Interface(MAC),))).items():
        place = f"foo{SEED_PLACE}/{name}"
        member.run("incus", "file", "push", "-p", *KEPT, "-", place, given=content.decode())
    member.run("incus", "start", "foo", *KEPT)
    look = ("incus", "exec", "foo", *KEPT, "--", "test", "-e", FINISHED)
    until(lambda: member.run(*look, code=None).returncode == 0, "cloud-init's end")


def said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout


def user_data_for(key: str) -> str:
    return (
        "#cloud-config\n"
        "hostname: foo\n"
        "ssh_authorized_keys:\n"
        f"- {key}\n"
        "ssh_keys:\n"
        "  ed25519_private: |\n" + indented(host_key())
    )


def host_key() -> str:
    with tempfile.TemporaryDirectory() as place:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{place}/key"]
        subprocess.run(command, check=True)
        return Path(f"{place}/key").read_text()


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def guest_address(member: Member, name: str) -> str:
    state = member.query(f"/1.0/instances/{name}/state?project={PROJECT}")
    addresses = state["network"]["eth0"]["addresses"]
    return next(str(each["address"]) for each in addresses if each["family"] == "inet")


def test_a_token_names_the_servers_certificate_and_one_project(fabric: Cluster) -> None:
    token = json.loads(base64.b64decode(fabric.token("someone")))
    assert token["client_name"] == "someone"
    assert token["addresses"] and len(token["fingerprint"]) == 64
    listed = fabric.member(2).query("/1.0/projects/multipass")
    assert listed["config"]["restricted"] == "true"


def test_a_member_that_lost_power_comes_back(fabric: Cluster) -> None:
    second = fabric.member(2)
    second.kill()
    second.boot()
    fabric.wait_until_online()
    assert fabric.leader().name == "m1"
