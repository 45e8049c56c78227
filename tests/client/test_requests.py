"""What the commands on instances send to a foreign service."""

from __future__ import annotations

import pytest

from protocol.codec import Message
from protocol.messages.common import InstanceNames, InstanceSnapshotPair
from protocol.messages.information import (
    FindReply,
    FindRequest,
    InfoReply,
    InfoRequest,
    NetworksReply,
    NetworksRequest,
)
from protocol.messages.lifecycle import (
    DeleteReply,
    DeleteRequest,
    PurgeReply,
    PurgeRequest,
    RecoverReply,
    RecoverRequest,
    RestartReply,
    RestartRequest,
    StartReply,
    StartRequest,
    StopReply,
    StopRequest,
    SuspendReply,
    SuspendRequest,
)
from tests.client.service import Connect, replying

NAMED = InstanceNames(instance_name=["a", "b"])
PRIMARY = InstanceNames(instance_name=["primary"])
ALL = InstanceNames()


@pytest.mark.parametrize(
    ("words", "method", "reply", "request_"),
    [
        ("start a b", "start", StartReply(), StartRequest(instance_names=NAMED, timeout=-1)),
        ("start", "start", StartReply(), StartRequest(instance_names=PRIMARY, timeout=-1)),
        ("start --all", "start", StartReply(), StartRequest(instance_names=ALL, timeout=-1)),
        (
            "start a b --timeout 70",
            "start",
            StartReply(),
            StartRequest(instance_names=NAMED, timeout=70),
        ),
        ("stop", "stop", StopReply(), StopRequest(instance_names=PRIMARY)),
        ("stop --all", "stop", StopReply(), StopRequest(instance_names=ALL)),
        (
            "stop a b -t +12",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, time_minutes=12),
        ),
        (
            "stop a b --time=5 -v",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, time_minutes=5, verbosity_level=1),
        ),
        (
            "stop -c a b",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, cancel_shutdown=True),
        ),
        (
            "stop --force a b",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, force_stop=True),
        ),
        ("restart", "restart", RestartReply(), RestartRequest(instance_names=PRIMARY, timeout=-1)),
        (
            "restart a b --timeout 9",
            "restart",
            RestartReply(),
            RestartRequest(instance_names=NAMED, timeout=9),
        ),
        ("suspend", "suspend", SuspendReply(), SuspendRequest(instance_names=PRIMARY)),
        ("suspend a b", "suspend", SuspendReply(), SuspendRequest(instance_names=NAMED)),
        ("recover a b", "recover", RecoverReply(), RecoverRequest(instance_names=NAMED)),
        ("recover --all", "recover", RecoverReply(), RecoverRequest(instance_names=ALL)),
        ("purge -vv", "purge", PurgeReply(), PurgeRequest(verbosity_level=2)),
        ("delete --all", "delet", DeleteReply(), DeleteRequest()),
        (
            "delete -p a b.s.x",
            "delet",
            DeleteReply(purged_instances=["a"]),
            DeleteRequest(
                instance_snapshot_pairs=[
                    InstanceSnapshotPair(instance_name="a"),
                    InstanceSnapshotPair(instance_name="b", snapshot_name="s.x"),
                ],
                purge=True,
                purge_snapshots=True,
            ),
        ),
    ],
)
def test_requests_are_as_asked_and_success_says_nothing(
    connect: Connect, words: str, method: str, reply: Message, request_: Message
) -> None:
    program, service = connect(**{method: replying(reply)})
    result = program.run(*words.split())
    assert (result.code, result.out, result.err) == (0, "", "")
    assert type(request_).decode(service.requests[method][0]) == request_


@pytest.mark.parametrize(
    ("words", "form", "request_"),
    [
        ("find", "", FindRequest(show_images=True, show_blueprints=True)),
        ("find --only-images", "", FindRequest(show_images=True)),
        ("find --only-blueprints", "", FindRequest(show_blueprints=True)),
        (
            "find daily:22.04 --show-unsupported --force-update",
            "",
            FindRequest(
                search_string="22.04",
                remote_name="daily",
                allow_unsupported=True,
                show_images=True,
                show_blueprints=True,
                force_manifest_network_download=True,
            ),
        ),
        (
            "find daily:",
            "",
            FindRequest(remote_name="daily", show_images=True, show_blueprints=True),
        ),
    ],
)
def test_find_asks_for_what_is_wanted(
    connect: Connect, words: str, form: str, request_: FindRequest
) -> None:
    program, service = connect(find=replying(FindReply()))
    result = program.run(*words.split())
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("No ")
    assert FindRequest.decode(service.requests["find"][0]) == request_


def test_info_asks_for_instances_and_snapshots(connect: Connect) -> None:
    program, service = connect(info=replying(InfoReply()))
    assert program.run("info").out == "No instances found.\n"
    assert program.run("info", "a", "b.s", "--snapshots").out == "No snapshots found.\n"
    assert program.run("info", "--no-runtime-information", "--format=csv").out == ""
    result = program.run("info", "--all")
    assert (result.code, result.out) == (0, "No instances found.\n")
    assert result.err.startswith("Warning: the `--all` flag for the `info` command is deprecated.")
    assert [InfoRequest.decode(data) for data in service.requests["info"]] == [
        InfoRequest(),
        InfoRequest(
            instance_snapshot_pairs=[
                InstanceSnapshotPair(instance_name="a"),
                InstanceSnapshotPair(instance_name="b", snapshot_name="s"),
            ],
            snapshots=True,
        ),
        InfoRequest(no_runtime_information=True),
        InfoRequest(),
    ]


def test_networks(connect: Connect) -> None:
    program, service = connect(networks=replying(NetworksReply()))
    assert program.run("networks", "-v").out == "No network interfaces found.\n"
    assert NetworksRequest.decode(service.requests["networks"][0]).verbosity_level == 1
