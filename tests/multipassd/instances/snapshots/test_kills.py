"""kill -9 of the daemon at each stage of a change of the snapshots: after its next start the record
and both disks agree, and the change was made or was not.
"""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.instances.records.record import Network, Record
from tests import waiting
from tests.conftest import DaemonFactory
from tests.multipassd.instances.snapshots.disks import Disks
from tests.multipassd.instances.snapshots.gate import Gate
from tools import records
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS, Sandbox

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None or shutil.which("qemu-io") is None, reason="needs qemu-utils"
)

# Each is killed twice. The first number is that of the disk: disk and UEFI variables.
PLACES = ("before-1", "after-1", "before-2", "after-2")
TIMES = 2
OLD, NEW = 17, 34


@pytest.fixture
def disks(sandbox: Sandbox) -> Disks:
    made = Disks(sandbox, "foo", cpus=1)
    made.write(OLD)
    return made


@pytest.fixture
def service(daemon: DaemonFactory, sandbox: Sandbox, gate: Gate, disks: Disks) -> Daemon:
    """foo has the snapshot `kept`, with OLD on its disks; now they have NEW, and it has 2 CPUs."""
    path = f"{gate.place}:{sandbox.daemon_env()['PATH']}"
    running = daemon(sandbox=sandbox, options=("--verbosity", "debug"), env={"PATH": path})
    done(running, "snapshot", "--name", "kept", "foo")
    done(running, "set", "local.foo.cpus=2")
    disks.write(NEW)
    return running


def done(service: Daemon, *words: str) -> str:
    answer = service.cli("alice", *words)
    assert answer.returncode == 0, answer
    return answer.stdout


def record(service: Daemon) -> Record:
    known = records.registry(service.sandbox)
    known.read()
    return known.get("foo")


def begin(service: Daemon, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(MULTIPASS), *words],
        env=service.env("alice"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_at(service: Daemon, gate: Gate, where: str, *words: str) -> None:
    gate.set(where)
    begun = begin(service, *words)
    waiting.until(gate.held, f"qemu-img to be held {where}")
    service.kill()
    begun.communicate()
    assert begun.returncode != 0
    node = "disk" if where.endswith("1") else "variables"
    stages = [line for line in service.log_text().splitlines() if "snapshot of foo: " in line]
    assert stages[-1].endswith(f", {node}")
    gate.set("nowhere")
    service.start()
    waiting.until(lambda: record(service).pending is None, "the change to be settled")


@pytest.mark.parametrize("where", PLACES)
def test_a_snapshot_that_was_not_reported_leaves_nothing(
    service: Daemon, gate: Gate, disks: Disks, where: str
) -> None:
    before = record(service)
    tag = before.snapshots[0].tag
    for _ in range(TIMES):
        kill_at(service, gate, where, "snapshot", "foo")
        assert record(service) == before
        assert disks.tags() == [[tag], [tag]]
        disks.check()
        assert disks.hold(NEW)
    assert done(service, "snapshot", "foo") == "Snapshot taken: foo.snapshot2\n"


@pytest.mark.parametrize("where", PLACES)
def test_a_deletion_that_was_begun_is_completed(
    service: Daemon, gate: Gate, disks: Disks, where: str
) -> None:
    for number in range(TIMES):
        done(service, "snapshot", "--name", f"child{number}", "foo")
        first = record(service).snapshots[0].name
        kill_at(service, gate, where, "delete", "--purge", f"foo.{first}")
        (left,) = record(service).snapshots
        assert (left.name, left.parent) == (f"child{number}", 0)
        assert disks.tags() == [[left.tag], [left.tag]]
        disks.check()
        assert disks.hold(NEW)


@pytest.mark.parametrize("where", PLACES)
def test_a_restore_that_was_begun_is_completed(
    service: Daemon, gate: Gate, disks: Disks, where: str
) -> None:
    for _ in range(TIMES):
        done(service, "set", "local.foo.cpus=2")
        disks.write(NEW)
        kill_at(service, gate, where, "restore", "--destructive", "foo.kept")
        now = record(service)
        assert (now.cpus, now.snapshot_head) == (1, 1)
        disks.check()
        assert disks.hold(OLD)
        assert [each.name for each in now.snapshots] == ["kept"]


def test_what_is_asked_for_at_once_is_done_one_after_the_other(
    service: Daemon, gate: Gate, disks: Disks
) -> None:
    gate.set("before-1")
    asked = ("snapshot foo", "snapshot foo", "delete --purge foo.kept", "set local.foo.cpus=3")
    all_ = [begin(service, *asked[0].split())]
    waiting.until(gate.held, "the first one to be held")
    all_ += [begin(service, *words.split()) for words in asked[1:]]
    calls = ("snapshot", "snapshot", "snapshot", "delet", "set")  # kept's, too
    log = service.log_text
    waiting.until(lambda: sum(log().count(f"calls {each}\n") for each in {*calls}) >= 6, "all")
    assert record(service).pending is not None, "the first one is not done"
    gate.release()
    told = [each.communicate() for each in all_]
    assert [each.returncode for each in all_] == [0] * len(asked), told
    now = record(service)
    assert [(each.name, each.parent) for each in now.snapshots] == [
        ("snapshot2", 0), ("snapshot3", 2),
    ]  # fmt: skip
    assert (now.cpus, now.pending) == (3, None)
    tags = [each.tag for each in now.snapshots]
    assert disks.tags() == [tags, tags]
    disks.check()


def test_a_snapshot_that_its_caller_waits_for_no_longer_is_completed(
    service: Daemon, gate: Gate, disks: Disks
) -> None:
    gate.set("before-1")
    begun = begin(service, "snapshot", "foo")
    waiting.until(gate.held, "it to be held")
    begun.kill()
    begun.communicate()
    gate.release()
    told = "the snapshot foo.snapshot2 was taken by client"
    waiting.until(lambda: told in service.log_text(), "the snapshot")
    assert len(record(service).snapshots) == 2
    disks.check()


def test_a_restore_brings_networks_and_cloud_init_s_instance_back(
    service: Daemon, disks: Disks
) -> None:
    """As in a snapshot of 1.16's, which changed the instance's id with its networks."""
    path = disks.paths[0].with_name("seed.iso")
    first = Interface(record(service).mac)
    seed.write(path, Seed("foo", "foo-1", "#cloud-config\n{}\n", (first,)))
    service.stop()
    known = records.registry(service.sandbox)
    card = Network(name="eth9", mac="52:54:00:aa:aa:aa")
    known.put(record(service).replace(instance_id="foo-2", networks=(card,)))
    seed.add_interfaces(path, (first, Interface(card.mac, optional=True)))
    seed.set_instance_id(path, "foo-2")
    service.start()
    done(service, "restore", "--destructive", "foo.kept")
    now = record(service)
    assert (now.instance_id, now.networks, now.pending) == ("foo-1", (), None)
    content = seed.read(path)
    meta = yaml.safe_load(content["meta-data"])
    assert meta == {"instance-id": "foo-1", "local-hostname": "foo"}
    assert card.mac.encode() not in content["network-config"]
