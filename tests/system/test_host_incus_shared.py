"""Two services of the same people on one project: each alone, or with instances that they share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

pytestmark = pytest.mark.host


@pytest.fixture
def two(incus_base: Host) -> Iterator[tuple[IncusSite, IncusSite]]:
    with (
        cluster(incus_base) as fabric,
        incus_site(fabric) as first,
        incus_site(fabric) as second,
    ):
        yield first, second


def test_two_services_share_instances_as_long_as_both_want(
    two: tuple[IncusSite, IncusSite],
) -> None:
    first, second = two
    first.done("launch", "--name", "foo", first.url)
    assert second.states() == {}
    assert "already exists" in second.cli("launch", "--name", "foo", second.url).stderr
    for each in two:
        each.done("set", "local.incus.shared=true")
    second.wait_for(lambda: second.states() == {"foo": "Running"}, "foo at the second service")
    assert second.inside("foo", "hostname") == "foo"

    second.done("stop", "foo")
    first.wait_for(lambda: first.states() == {"foo": "Stopped"}, "the stop at the first service")
    first.done("snapshot", "foo", "--name", "before", "--comment", "as it was")
    first.done("set", "local.foo.cpus=2")
    second.wait_for(lambda: "before" in second.done("list", "--snapshots"), "the snapshot")
    second.wait_for(lambda: second.done("get", "local.foo.cpus") == "2\n", "the processors")
    second.done("restore", "-d", "foo.before")
    first.wait_for(lambda: first.done("get", "local.foo.cpus") == "1\n", "the restore")
    second.done("clone", "foo", "--name", "copy")
    second.done("start", "foo")
    assert second.inside("foo", "hostname") == "foo"
    first.wait_for(lambda: first.states().get("copy") == "Stopped", "the copy")
    first.wait_for(lambda: first.states().get("foo") == "Running", "the start")

    second.done("set", "local.incus.shared=false")
    second.wait_for(lambda: second.states() == {"copy": "Stopped"}, "foo to be let go")
    first.wait_for(lambda: first.states() == {"foo": "Running"}, "the copy to be let go")
    first.daemon.stop()  # no connection of before is used
    first.daemon.start()
    assert first.inside("foo", "hostname") == "foo"
    assert sorted(first.fabric.instances()) == ["copy", "foo"]
