"""Snapshots and clones, asked for by Google's gRPC, of an instance that was never launched."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Seed
from protocol.certificates import make_client
from protocol.messages.common import InstanceSnapshotPair
from protocol.messages.lifecycle import DeleteRequest
from protocol.messages.snapshots import RestoreRequest
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tools import records
from tools.sandbox import Sandbox

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


@pytest.fixture
def client(daemon: DaemonFactory, sandbox: Sandbox) -> Iterator[GrpcClient]:
    records.put(sandbox, records.make("foo", 1, disk=64 << 20))
    place = records.registry(sandbox).place("foo")
    seed.write(place / "seed.iso", Seed("foo", "foo-1", "#cloud-config\n{}\n", ()))
    with GrpcClient(daemon(sandbox=sandbox), make_client()) as made:
        assert made.call("list").status is Status.OK
        yield made


def pair(snapshot: str) -> InstanceSnapshotPair:
    return InstanceSnapshotPair(instance_name="foo", snapshot_name=snapshot)


def snapshots(client: GrpcClient) -> list[str]:
    listed = client.call("list", snapshots=True).replies[0].snapshot_list
    return [each.fundamentals.snapshot_name for each in listed.snapshots]


def test_a_snapshot_is_taken_shown_and_restored(client: GrpcClient) -> None:
    taken = client.call("snapshot", instance="foo", comment="a\nb")
    assert taken.replies[-1].snapshot == "snapshot1"
    assert client.call("snapshot", instance="foo", snapshot="two").status is Status.OK
    (shown,) = client.call("info", instance_snapshot_pairs=[pair("snapshot1")]).replies[-1].details
    assert (shown.name, shown.cpu_count, shown.disk_total) == ("foo", "1", "64.0MiB")
    about = shown.snapshot_info
    assert (about.fundamentals.comment, about.children) == ("a\nb", ["two"])
    assert about.size.endswith("KiB") and about.fundamentals.creation_timestamp.seconds
    assert client.call("info").replies[-1].details[0].instance_info.num_snapshots == 2
    asked = RestoreRequest(instance="foo", snapshot="snapshot1")
    told = client.converse("restore", asked, asked)
    assert told.status is Status.OK, told
    assert told.replies[0].confirm_destructive
    assert [each.reply_message for each in told.replies[1:]] == [
        "Taking snapshot before restoring foo",
        "Snapshot taken: foo.snapshot3\n",
        "Restoring snapshot",
        "",
    ]
    destructive = RestoreRequest(instance="foo", snapshot="snapshot1", destructive=True)
    assert client.converse("restore", asked, destructive).status is Status.OK
    assert snapshots(client) == ["snapshot1", "two", "snapshot3"]
    # A caller that does not answer has changed nothing.
    given_up = client.call("restore", instance="foo", snapshot="snapshot1")
    assert (given_up.status, given_up.message) == (Status.CANCELLED, "Cancelled.")


def test_a_snapshot_that_another_program_removed_can_be_forgotten(
    client: GrpcClient, sandbox: Sandbox
) -> None:
    client.call("snapshot", instance="foo")
    disk = records.registry(sandbox).place("foo") / "disk.qcow2"
    listed = subprocess.check_output(["qemu-img", "snapshot", "-l", disk], text=True)
    tag = listed.splitlines()[2].split()[1]
    subprocess.run(["qemu-img", "snapshot", "-d", tag, disk], check=True)
    asked = RestoreRequest(instance="foo", snapshot="snapshot1")
    destructive = RestoreRequest(instance="foo", snapshot="snapshot1", destructive=True)
    for answer in (asked, destructive):
        told = client.converse("restore", asked, answer)
        assert "does not have the state of snapshot1, so nothing was changed" in told.message
    assert snapshots(client) == ["snapshot1"]
    assert client.call("snapshot", instance="foo").status is Status.OK, "nothing is pending"
    gone = client.call("delet", instance_snapshot_pairs=[pair("snapshot1")], purge=True)
    assert gone.status is Status.OK
    assert snapshots(client) == ["snapshot2"]


def test_snapshots_are_deleted_once_that_is_confirmed(client: GrpcClient) -> None:
    for _ in range(3):
        assert client.call("snapshot", instance="foo").status is Status.OK
    asked = DeleteRequest(instance_snapshot_pairs=[pair("snapshot1"), pair("snapshot2")])
    told = client.converse("delet", asked, asked)
    assert told.replies[0].confirm_snapshot_purging
    assert (told.status, told.message) == (Status.CANCELLED, "Cancelled.")
    assert len(snapshots(client)) == 3
    confirmed = DeleteRequest(**{**vars_of(asked), "purge_snapshots": True})
    assert client.converse("delet", asked, confirmed).status is Status.OK
    assert snapshots(client) == ["snapshot3"]
    told = client.call("delet", instance_snapshot_pairs=[pair("gone"), pair("snapshot3")])
    assert told.message == "The following errors occurred:\nNo such snapshot: foo.gone"
    assert snapshots(client) == ["snapshot3"], "nothing is done where a name is wrong"
    assert client.call("delet").status is Status.OK  # all instances, not purged
    told = client.call("delet", instance_snapshot_pairs=[pair("snapshot3")], purge=True)
    assert told.message == "Cannot delete snapshots of deleted instances: foo.snapshot3"


def vars_of(request: DeleteRequest) -> dict[str, object]:
    return {"instance_snapshot_pairs": request.instance_snapshot_pairs}


def test_a_clone_is_made_under_the_name_that_is_asked_for(client: GrpcClient) -> None:
    told = client.call("clone", source_name="foo").replies[-1].reply_message
    assert told == "Cloned from foo to foo-clone1."
    told = client.call("clone", source_name="foo", destination_name="bar").replies[-1].reply_message
    assert told == "Cloned from foo to bar."
    told = client.call("clone", source_name="foo", destination_name="bar").message
    assert told == 'instance "bar" already exists'


def test_names_and_comments_are_settings(client: GrpcClient) -> None:
    def get(key: str) -> str:
        answer = client.call("get", key=f"local.{key}")
        return answer.message or str(answer.replies[0].value)

    def change(key: str, value: str) -> str:
        return client.call("set", key=f"local.{key}", val=value).message

    client.call("snapshot", instance="foo", comment="text")
    client.call("snapshot", instance="foo", snapshot="two")
    keys = client.call("keys").replies[0].settings_keys
    assert [key for key in keys if key.startswith("local.foo.") and key.count(".") == 3] == [
        "local.foo.snapshot1.comment", "local.foo.snapshot1.name",
        "local.foo.two.comment", "local.foo.two.name",
    ]  # fmt: skip
    assert (get("foo.snapshot1.comment"), get("foo.two.name")) == ("text", "two")
    assert change("foo.two.comment", "a\nb") == ""
    assert change("foo.two.comment", "") == ""
    assert change("foo.two.name", "three") == change("foo.three.name", "three") == ""
    assert get("foo.three.comment") == ""
    access = "Cannot access snapshot settings;"
    assert get("foo.two.name") == f"{access} reason: No such snapshot: foo.two"
    assert get("bar.two.name") == f"{access} instance: bar; reason: No such instance"
    assert change("foo.three.name", "snapshot1") == "Snapshot already exists: foo.snapshot1"
    assert change("foo.three.name", "a b") == (
        "Invalid setting 'local.foo.three.name=a b': Invalid snapshot name."
    )
    assert "can't be shown" in change("foo.three.comment", "\x1b[2J")
    assert get("foo.three.size") == "Unrecognized settings key: 'local.foo.three.size'"
    client.call("delet")
    assert get("foo.three.name") == "three"
    assert change("foo.three.name", "x") == f"{access} instance: foo; reason: Instance is deleted"
