"""A daemon that idles out or has many instances, and a foreign client that asks for each method."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.certificates import make_client
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, InstanceStatus
from protocol.status import Status
from tests.instances.site import Site, silent_disk
from tests.interop.grpc_client import Answer, GrpcClient
from tools import records
from tools.daemon import Daemon

State = InstanceStatus.Status
OWNER = make_client()
IDLE = 1  # seconds
ERRORS = "The following errors occurred:"


@pytest.fixture
def asleep(own: Site) -> Iterator[Site]:
    """A daemon that a caller wakes and that ends when it has nothing to do."""
    own.daemon.stop()
    own.daemon = Daemon(
        own.sandbox,
        activated=True,
        options=("--verbosity", "debug", "--idle-exit", str(IDLE)),
        env=own.daemon.extra_env,
    )
    own.daemon.start()
    yield own


def ends(here: Site) -> int:
    return here.daemon.log_text().count("stopped: idle")


def test_a_daemon_idles_out_only_without_a_machine(asleep: Site, tmp_path: Path) -> None:
    asleep.done("list")
    asleep.wait_for(lambda: ends(asleep) == 1, "the idle exit")
    asleep.run_silent("foo", silent_disk(tmp_path / "disk.raw"))
    pid = asleep.daemon.pid
    time.sleep(2.5 * IDLE)  # that nothing happens can't be waited for
    assert (asleep.daemon.pid, ends(asleep)) == (pid, 1)
    asleep.done("delete", "--purge", "foo")
    asleep.wait_for(lambda: ends(asleep) == 2, "the idle exit")
    asleep.done("list")  # a daemon for the fixture to stop


def names(*given: str) -> InstanceNames:
    return InstanceNames(instance_name=list(given))


def test_a_foreign_client_gets_an_answer_from_each_method(own: Site) -> None:
    own.daemon.stop()
    records.put(own.sandbox, records.make("foo"))
    records.put(own.sandbox, records.make("gone", 1, deleted=True))
    own.daemon.start()
    pair = [InstanceSnapshotPair(instance_name="foo")]
    with GrpcClient(own.daemon, OWNER) as client:

        def ask(method: str, **fields: Any) -> Answer:
            return client.call(method, **fields)

        listed = ask("list", request_ipv4=True).replies[0].instance_list.instances
        assert [(each.name, each.instance_status.status) for each in listed] == [
            ("foo", State.STOPPED),
            ("gone", State.DELETED),
        ]
        (details,) = ask("info", instance_snapshot_pairs=pair).replies[0].details
        assert details.instance_info.num_snapshots == 0
        assert details.name == "foo" and details.instance_info.image_release == "24.04 LTS"
        for method in ("stop", "suspend"):
            assert ask(method, instance_names=names("foo")).status is Status.OK
        assert ask("restart", instance_names=names("foo")).status is Status.FAILED_PRECONDITION
        assert ask("ssh_info", instance_name=["foo"]).status is Status.ABORTED
        missing = ask("ssh_info", instance_name=["nobody"])
        assert (missing.status, missing.message) == (
            Status.NOT_FOUND, f'{ERRORS}\ninstance "nobody" does not exist'
        )  # fmt: skip
        deleted = ask("ssh_info", instance_name=["gone"])
        assert (deleted.status, deleted.message) == (
            Status.INVALID_ARGUMENT, f'{ERRORS}\ninstance "gone" is deleted'
        )  # fmt: skip
        keys = ask("Guests/host_keys", instance_name=["foo"]).replies[0].host_keys
        assert keys == {"foo": "ssh-ed25519 AAAA"}
        refused = ask("start", instance_names=names("foo", "gone", "nobody"))
        assert (refused.status, refused.message) == (Status.ABORTED, "instance(s) missing")
        refused = ask("stop", instance_names=names("gone", "nobody"))
        assert refused.message == (
            f'{ERRORS}\ninstance "gone" is deleted\ninstance "nobody" does not exist'
        )
        assert ask("launch", instance_name="foo", image="x").status is Status.INVALID_ARGUMENT
        assert ask("launch", instance_name="-").message == "Invalid arguments supplied"
        assert ask("launch", instance_name="gone", image="x").message == (
            'instance "gone" already exists\nIt is deleted. `multipass recover gone` brings it '
            "back; `multipass delete --purge gone` removes it with its disk."
        )
        assert ask("recover", instance_names=names("foo")).status is Status.OK
        assert ask("recover").status is Status.OK
        assert "foo was recovered" not in own.daemon.log_text(), "it was not deleted"
        assert ask("recover", instance_names=names("gone")).status is Status.OK
        assert own.daemon.log_text().count("gone was recovered") == 1
        assert ask("delet", instance_snapshot_pairs=pair).status is Status.OK
        assert ask("purge").replies[0].purged_instances == ["foo"]
        gone = [InstanceSnapshotPair(instance_name="gone")]
        purged = ask("delet", instance_snapshot_pairs=gone, purge=True)
        assert purged.replies[0].purged_instances == ["gone"]
        assert ask("list").replies[0].instance_list.instances == []


def test_two_hundred_instances_are_listed_and_told_in_one_call(own: Site) -> None:
    own.daemon.stop()
    known = records.registry(own.sandbox)
    for number in range(200):
        known.put(records.make(f"foo{number}", number))
    own.daemon.start()
    assert len(own.states()) == 200
    told = own.done("info", "--no-runtime-information", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(told)))
    assert len(rows) == 200
    assert {row["Snapshots"] for row in rows} == {"0"}
    info = json.loads(own.done("info", "foo7", "--format", "json"))["info"]["foo7"]
    assert info["snapshot_count"] == "0"
