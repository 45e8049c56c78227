"""`mount` and `umount` by Google's gRPC: what is recorded, shown and refused. Nothing runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from multipassd.instances.attachments.mounts import MOST
from protocol.certificates import make_client
from protocol.messages.common import InstanceSnapshotPair, TargetPathInfo
from protocol.messages.mounts import IdMap, MountInfo, MountMaps, MountRequest
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import Answer, GrpcClient
from tests.interop.test_calls import start_on_both
from tools import records
from tools.daemon import Daemon

NATIVE = int(MountRequest.MountType.NATIVE)
HEADING = "The following errors occurred:\n"


@pytest.fixture
def both(daemon: DaemonFactory) -> tuple[Daemon, str]:
    running = daemon(start=False)
    for number, name in enumerate(("foo", "bar", "gone")):
        records.put(running.sandbox, records.make(name, number, deleted=name == "gone"))
    return start_on_both(lambda **_: running)


@pytest.fixture
def client(both: tuple[Daemon, str]) -> Iterator[GrpcClient]:
    with GrpcClient(both[0], PAIR) as client:
        assert client.call("list").status is Status.OK
        yield client


PAIR = make_client()


def mount(client: GrpcClient, *targets: str, source: str = "/srv", **fields: Any) -> Answer:
    """`targets`: instance:path."""
    return client.call("mount", source_path=source, target_paths=paths(targets), **fields)


def umount(client: GrpcClient, *targets: str) -> Answer:
    return client.call("umount", target_paths=paths(targets))


def paths(targets: tuple[str, ...]) -> list[TargetPathInfo]:
    pairs = [each.partition(":") for each in targets]
    return [TargetPathInfo(instance_name=name, target_path=path) for name, _, path in pairs]


def shown(client: GrpcClient, name: str = "foo") -> list[MountInfo.MountPaths]:
    pairs = [InstanceSnapshotPair(instance_name=name)]
    (reply,) = client.call("info", instance_snapshot_pairs=pairs).replies
    found: list[MountInfo.MountPaths] = reply.details[0].mount_info.mount_paths
    return found


def test_a_stopped_instance_keeps_it_across_a_kill_of_the_daemon(
    client: GrpcClient, both: tuple[Daemon, str]
) -> None:
    assert mount(client, "foo", "foo:rel", source="//srv/x/").status is Status.OK
    both[0].kill()
    both[0].start()
    with GrpcClient(both[0], PAIR) as again:
        first, second = shown(again)
        assert (first.source_path, first.target_path) == ("/srv/x", "/home/ubuntu/x")
        assert second.target_path == "rel"
        assert first.mount_maps is not None
        (uid,) = first.mount_maps.uid_mappings
        assert (uid.host_id, uid.instance_id) == (os.getuid(), -1)
        assert umount(again, "foo:/home/ubuntu//rel/").status is Status.OK
        assert [each.target_path for each in shown(again)] == ["/home/ubuntu/x"]
        assert umount(again, "foo").status is Status.OK
        assert shown(again) == []


def test_what_is_wrong_is_listed_and_the_rest_is_done(client: GrpcClient) -> None:
    answer = mount(client, "foo:a", "nope:a", "gone:a", "foo:./a", "bar:/", "bar:b")
    assert answer.message == (
        f"{HEADING}instance 'nope' does not exist\ninstance 'gone' does not exist\n"
        '"./a" is already mounted in \'foo\'\nunable to mount to "/"'
    )
    assert answer.status is Status.INVALID_ARGUMENT
    assert [each.target_path for each in shown(client) + shown(client, "bar")] == ["a", "b"]
    answer = umount(client, "foo:x", "nope", "bar")
    assert answer.message == (
        f"{HEADING}path \"x\" is not mounted in 'foo'\ninstance 'nope' does not exist"
    )
    assert shown(client, "bar") == []


def test_a_caller_over_tcp_may_unmount_and_not_mount(
    client: GrpcClient, both: tuple[Daemon, str]
) -> None:
    assert mount(client, "foo:a").status is Status.OK
    with GrpcClient(both[0], PAIR, both[1]) as remote:
        answer = mount(remote, "foo:b")
        assert answer.status is Status.INVALID_ARGUMENT and "over TCP" in answer.message
        assert umount(remote, "foo:a").status is Status.OK
    assert shown(client) == []


def test_bad_maps_and_paths_are_refused_whole(client: GrpcClient) -> None:
    twice = [IdMap(host_id=1, instance_id=2), IdMap(host_id=1, instance_id=3)]
    answer = mount(client, "foo:a", mount_maps=MountMaps(uid_mappings=twice))
    assert answer.message == "Mount cannot apply mapping with duplicate ids:\nuids: 1:2, 1:3"
    for source in ("", "srv", "/a\x1b[2J", "/" + "x" * 5000):
        assert mount(client, "foo:a", source=source).status is Status.INVALID_ARGUMENT
    two = MountMaps(uid_mappings=[IdMap(host_id=1, instance_id=2), IdMap(host_id=2)])
    answer = mount(client, "foo:a", mount_type=NATIVE, mount_maps=two)
    assert answer.message == (
        f'{HEADING}error mounting "a": Only one mapping per native mount allowed.'
    )
    assert mount(client, "foo:a", mount_type=9).status is Status.INVALID_ARGUMENT
    assert shown(client) == []


def test_an_instance_has_a_limited_number_of_them(client: GrpcClient) -> None:
    targets = [f"foo:{number}" for number in range(MOST + 1)]
    answer = mount(client, *targets)
    assert answer.message == (
        f'{HEADING}error mounting "{MOST}": foo has {MOST} mounts, and can\'t have more'
    )
    assert len(shown(client)) == MOST


def test_disabled_there_are_none_but_they_are_kept(client: GrpcClient) -> None:
    key = "local.privileged-mounts"
    assert mount(client, "foo:a").status is Status.OK
    assert client.call("set", key=key, val="off").status is Status.OK
    answer = mount(client, "foo:b")
    first = "Mounts are disabled on this installation of Multipass.\n"
    assert answer.status is Status.FAILED_PRECONDITION and answer.message.startswith(first)
    pairs = [InstanceSnapshotPair(instance_name="foo")]
    line, reply = client.call("info", instance_snapshot_pairs=pairs).replies
    assert "[error]" in line.log_line
    assert "Mounts have been disabled on this instance of Multipass\n" in line.log_line
    assert reply.details[0].mount_info.mount_paths == []
    assert client.call("set", key=key, val="ON").status is Status.OK
    assert [each.target_path for each in shown(client)] == ["a"]
