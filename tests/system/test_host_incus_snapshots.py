"""Snapshots and clones of a container on a cluster, by the tests of those on QEMU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instances import test_snapshots as same
from tests.instances.site import SIZE
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def shared(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base, members=2) as fabric, incus_site(fabric) as site:
        yield site


foo = same.foo
test_a_running_instance_is_refused_with_a_sentence_and_runs_on = (
    same.test_a_running_instance_is_refused_with_a_sentence_and_runs_on
)
test_what_a_snapshot_had_is_back_and_a_clone_is_another_machine = (
    same.test_what_a_snapshot_had_is_back_and_a_clone_is_another_machine
)


def test_each_of_several_restores_brings_back_what_its_snapshot_had(shared: IncusSite) -> None:
    """On another member than the one that is asked."""
    shared.done("launch", "--name", "bar", "--target", "m2", *SIZE, shared.url)
    for number in ("1", "2"):
        shared.inside("bar", f"echo {number} > file; sync")
        shared.done("stop", "bar")
        shared.done("snapshot", "bar")
        shared.done("start", "bar")
    shared.done("stop", "bar")
    for number in ("1", "2", "2", "1"):
        shared.done("restore", "--destructive", f"bar.snapshot{number}")
        shared.done("start", "bar")
        assert shared.inside("bar", "cat file; echo changed > file; sync") == number
        shared.done("stop", "bar")
    there = shared.fabric.instances()["bar"]
    assert there["location"] == "m2" and there["config"]["user.multipass.name"] == "bar"
    shared.done("delete", "--purge", "bar")
    assert shared.kept_of("bar") == []
