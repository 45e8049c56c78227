"""Clones of an instance that was never launched: what they have, and that none stays half made."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from multipassd.cloudinit import seed, userdata
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.cloudinit.ssh_keys import make
from multipassd.instances.records.record import Mount, Network, Record
from tests import waiting
from tests.conftest import DaemonFactory
from tests.multipassd.instances.snapshots.disks import Disks, tags_of
from tests.multipassd.instances.snapshots.gate import Gate
from tools import records
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS, Sandbox

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None or shutil.which("qemu-io") is None, reason="needs qemu-utils"
)

PATTERN = 17
TIMES = 2
NETWORK = Network(name="eth9", mac="52:54:00:aa:aa:aa")
MOUNT = Mount(source="/srv", target="x", uid=0, gid=0)
# The copies are complete when these begin: two snapshots are dropped from each.
PLACES = ("before-1", "after-1", "before-4")


@pytest.fixture
def disks(sandbox: Sandbox) -> Disks:
    made = Disks(sandbox, "foo", networks=(NETWORK,), mounts=(MOUNT,), cpus=3)
    made.write(PATTERN)
    text = userdata.merge({}, "foo", ("ssh-ed25519 AAAA",), make(), "")
    path = made.paths[0].with_name("seed.iso")
    seed.write(path, Seed("foo", "foo-1", text, (Interface("52:54:00:00:00:01"),)))
    return made


@pytest.fixture
def service(daemon: DaemonFactory, sandbox: Sandbox, gate: Gate, disks: Disks) -> Daemon:
    path = f"{gate.place}:{sandbox.daemon_env()['PATH']}"
    running = daemon(sandbox=sandbox, options=("--verbosity", "debug"), env={"PATH": path})
    done(running, "snapshot", "--name", "kept", "foo")
    return running


def done(service: Daemon, *words: str) -> str:
    answer = service.cli("alice", *words)
    assert answer.returncode == 0, answer
    return answer.stdout


def failure(service: Daemon, *words: str) -> str:
    answer = service.cli("alice", *words)
    assert answer.returncode == 2
    return answer.stderr.removeprefix("clone failed: ").removesuffix("\n")


def record(service: Daemon, name: str) -> Record:
    known = records.registry(service.sandbox)
    known.read()
    return known.get(name)


def place(service: Daemon, name: str) -> Path:
    return records.registry(service.sandbox).place(name)


def names(service: Daemon) -> set[str]:
    listed = json.loads(done(service, "list", "--format", "json"))["list"]
    return {each["name"] for each in listed}


def test_a_clone_has_what_its_source_has_and_is_told_apart(service: Daemon, disks: Disks) -> None:
    assert done(service, "clone", "foo") == "Cloned from foo to foo-clone1.\n"
    source, clone = record(service, "foo"), record(service, "foo-clone1")
    same = ("cpus", "memory", "disk", "mounts", "hardware", "image")
    assert {key: getattr(clone, key) for key in same} == {key: getattr(source, key) for key in same}
    macs = {clone.mac, *(each.mac for each in clone.networks)}
    assert len(macs) == 2 and not macs & {source.mac, NETWORK.mac}
    assert (clone.snapshots, clone.clones, source.clones) == ((), 0, 1)
    for name in ("disk.qcow2", "uefi.qcow2"):
        path = place(service, "foo-clone1") / name
        assert tags_of(path) == []
        subprocess.run(["qemu-img", "check", "-q", path], check=True)
        subprocess.run(
            ["qemu-img", "compare", "-q", path, disks.paths[0].with_name(name)], check=True
        )
    content = seed.read(place(service, "foo-clone1") / "seed.iso")
    assert yaml.safe_load(content["meta-data"])["instance-id"] == clone.instance_id
    assert clone.host_key.encode() in content["user-data"]
    assert len(disks.tags()[0]) == 1, "the source keeps its own"
    assert done(service, "clone", "foo", "--name", "bar") == "Cloned from foo to bar.\n"
    assert done(service, "clone", "foo") == "Cloned from foo to foo-clone3.\n"
    assert done(service, "clone", "bar") == "Cloned from bar to bar-clone1.\n"


def test_what_can_t_be_cloned_is_refused_with_1_16_s_sentences(service: Daemon) -> None:
    assert failure(service, "clone", "gone") == 'instance "gone" does not exist'
    for name in ("a.b", "1a", "a" * 64, ""):
        told = failure(service, "clone", "foo", f"--name={name}")
        assert told == f"Invalid destination instance name: {name}"
    assert failure(service, "clone", "foo", "--name", "foo") == 'instance "foo" already exists'
    done(service, "delete", "foo")
    assert failure(service, "clone", "foo") == 'instance "foo" is deleted'
    assert names(service) == {"foo"}


def test_a_disk_that_is_a_link_is_not_followed(service: Daemon, disks: Disks) -> None:
    elsewhere = disks.paths[0].with_name("elsewhere.qcow2")
    disks.paths[0].rename(elsewhere)
    disks.paths[0].symlink_to(elsewhere)
    assert "can't be used" in failure(service, "clone", "foo")
    assert names(service) == {"foo"} and not place(service, "foo-clone1").exists()


def begin(service: Daemon, gate: Gate, where: str) -> subprocess.Popen[bytes]:
    gate.set(where)
    begun = subprocess.Popen(
        ["env", "--default-signal=INT", str(MULTIPASS), "clone", "foo"],
        env=service.env("alice"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    waiting.until(gate.held, f"qemu-img to be held {where}")
    return begun


@pytest.mark.parametrize("where", PLACES)
def test_a_clone_that_was_killed_leaves_nothing(service: Daemon, gate: Gate, where: str) -> None:
    for _ in range(TIMES):
        begun = begin(service, gate, where)
        service.kill()
        begun.communicate()
        stages = [
            line for line in service.log_text().splitlines() if "clone of foo-clone1: " in line
        ]
        assert stages[-1].endswith(": disk")
        gate.set("nowhere")
        service.start()
        assert names(service) == {"foo"} and not place(service, "foo-clone1").exists()
    assert done(service, "clone", "foo") == "Cloned from foo to foo-clone1.\n"


def test_a_clone_that_its_user_gives_up_leaves_nothing(service: Daemon, gate: Gate) -> None:
    begun = begin(service, gate, "before-1")
    refused = service.cli("alice", "clone", "foo", "--name", "foo-clone1")
    assert 'instance "foo-clone1" is being prepared' in refused.stderr
    begun.send_signal(signal.SIGINT)
    begun.communicate()
    assert place(service, "foo-clone1").exists()
    gate.release()
    waiting.until(lambda: not place(service, "foo-clone1").exists(), "it to be removed")
    assert names(service) == {"foo"}
    assert done(service, "clone", "foo") == "Cloned from foo to foo-clone1.\n"
