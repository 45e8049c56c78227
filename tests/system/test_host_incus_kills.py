"""kill -9 of the daemon at each stage of a launch on a cluster, in a snapshot and in a purge: after
its next start there is an instance that works, or none, on the cluster as in the records."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.instances.site import SIZE, Site
from tests.instances.test_kills import AFTER_RECORD, BEFORE_RECORD, kill_at
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

TRIES = 8  # to kill in a stage that is short
SETTLED = "Running", "Stopped", "Deleted"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def site(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base) as fabric, incus_site(fabric) as made:
        yield made


def begin(site: Site, name: str) -> subprocess.Popen[str]:
    return site.begin("launch", "--name", name, *SIZE, site.url)


def restart(site: IncusSite) -> None:
    """Start the daemon that was killed; returns once what the killed one began is settled."""
    site.daemon.start()
    site.wait_for(lambda: settled(site), "an end of what was begun")


def settled(site: IncusSite) -> bool:
    states = site.states()
    machines = site.storage / "incus/machines"
    places = {each.name for each in machines.iterdir()} if machines.exists() else set()
    return (
        set(site.fabric.instances()) == set(states) == places
        and all(state in SETTLED for state in states.values())
    )  # fmt: skip


def check_it_works(site: IncusSite, name: str) -> None:
    site.done("start", name)
    assert site.inside(name, "hostname") == name
    site.done("stop", name)


@pytest.mark.parametrize("stage", [*BEFORE_RECORD, *AFTER_RECORD, "wait"])
def test_a_launch_killed_at_a_stage_leaves_an_instance_that_works_or_none(
    site: IncusSite, stage: str
) -> None:
    for number in range(TRIES):
        name = f"{stage}{number}"
        hit = kill_at(site, name, stage, begin)
        restart(site)
        if name in site.states():
            check_it_works(site, name)
            site.done("delete", "--purge", name)
        assert site.kept_of(name) == []
        if hit:
            return
    raise AssertionError(f"none of {TRIES} launches was killed in time")


def test_a_snapshot_and_a_purge_that_are_killed_leave_all_or_nothing(site: IncusSite) -> None:
    site.done("launch", "--name", "foo", *SIZE, site.url)
    site.done("stop", "foo")
    taking = site.begin("snapshot", "foo", "--name", "one")
    site.wait_for(lambda: bool(snapshots(site, "foo")) or taking.poll() is not None, "the snapshot")
    site.daemon.kill()
    taking.communicate()
    restart(site)
    listed = site.done("list", "--snapshots", "--format", "csv").splitlines()[1:]
    assert len(listed) == len(snapshots(site, "foo")) <= 1
    check_it_works(site, "foo")
    purging = site.begin("delete", "--purge", "foo")
    site.wait_for(
        lambda: "foo" not in site.fabric.instances() or not site.records("foo"), "the purge"
    )
    site.daemon.kill()
    purging.communicate()
    restart(site)
    if "foo" in site.states():
        site.done("delete", "--purge", "foo")
    assert site.kept_of("foo") == []


def snapshots(site: IncusSite, name: str) -> list[str]:
    path = f"/1.0/instances/{name}/snapshots?project=multipass"
    found: list[str] = site.fabric.member(1).query(path)
    return found
