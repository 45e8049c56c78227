"""Three members, of which one dies, and a cluster that is not reached: `list` goes on answering,
states are shown as they are, nothing is lost, and what other members run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import CompletedProcess

import pytest

from tests.instances.site import SIZE
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

MEMBERS = ("m1", "m2", "m3")
EACH = "on-{}"
PAUSE = 0.1  # seconds between two lists, for what else runs here
RECOVERY = 240.0  # seconds; Incus needs a minute for another leader

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def site(incus_base: Host) -> Iterator[IncusSite]:
    """A running instance on each of three members."""
    with cluster(incus_base, members=3) as fabric, incus_site(fabric) as made:
        for member in MEMBERS:
            launched = made.cli(
                "launch", "--name", EACH.format(member), "--target", member, *SIZE, made.url
            )
            assert launched.returncode == 0, (launched, made.daemon.log_text()[-3000:])
        yield made


class Lists:
    """What `list` said, called again and again."""

    def __init__(self, site: IncusSite) -> None:
        self.site = site
        self.said: list[CompletedProcess[str]] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.said.append(self.site.cli("list", "--format", "csv"))
            time.sleep(PAUSE)

    def check(self) -> None:
        """Each was answered, and named each instance."""
        assert self.said
        for said in self.said:
            assert said.returncode == 0, said
            assert all(EACH.format(member) in said.stdout for member in MEMBERS), said


@contextmanager
def listing(site: IncusSite) -> Iterator[Lists]:
    lists = Lists(site)
    thread = threading.Thread(target=lists.run)
    thread.start()
    try:
        yield lists
    finally:
        lists.over.set()
        thread.join()
    lists.check()


def all_run(site: IncusSite) -> bool:
    return all(site.states()[EACH.format(member)] == "Running" for member in MEMBERS)


def unknown(site: IncusSite) -> set[str]:
    """Those; all others run."""
    states = site.states()
    assert set(states.values()) <= {"Unknown", "Running", "Starting"}, states
    return {name for name, state in states.items() if state != "Running"}


def test_a_dead_members_instance_is_unknown_until_it_is_back(site: IncusSite) -> None:
    victim = site.fabric.member(3)
    assert site.fabric.leader() is not victim
    with listing(site):
        victim.kill()
        site.wait_for(lambda: unknown(site) == {"on-m3"}, "the state", RECOVERY)
        assert site.inside("on-m2", "hostname") == "on-m2"
        refused = site.cli("exec", "on-m3", "--", "true")
        assert refused.returncode == 2, refused
        refused = site.cli("delete", "--purge", "on-m3")
        assert refused.returncode == 2 and "m3" in refused.stderr, refused
        victim.boot()
        site.wait_for(lambda: all_run(site), "the member", RECOVERY)
    assert site.inside("on-m3", "hostname") == "on-m3"


def test_after_the_leaders_death_the_others_go_on(site: IncusSite) -> None:
    victim = site.fabric.leader()
    lost = EACH.format(victim.name)
    kept = [EACH.format(name) for name in MEMBERS if name != victim.name]
    with listing(site):
        victim.kill()
        site.wait_for(lambda: unknown(site) == {lost}, "the others", RECOVERY)
        for name in kept:
            assert site.inside(name, "hostname") == name
        launched = site.launch("later")
        assert launched.returncode == 0, (launched, site.daemon.log_text()[-3000:])
        victim.boot()
        site.wait_for(lambda: all_run(site), "the member", RECOVERY)
    assert site.inside(lost, "hostname") == lost
    site.done("delete", "--purge", "later")


def test_a_cluster_that_is_not_reached_costs_no_answer_and_no_instance(site: IncusSite) -> None:
    for member in site.fabric.members:
        member.unplug()
    site.daemon.kill()
    site.daemon.start()
    with listing(site):
        assert set(site.states().values()) == {"Unknown"}
        for words in (("launch", "--name", "never", site.url), ("stop", "on-m1")):
            refused = site.cli(*words)
            assert refused.returncode == 2, refused
        assert site.records("never") == []
        for member in site.fabric.members:
            member.connect()
        site.wait_for(lambda: all_run(site), "the cluster", RECOVERY)
    assert site.inside("on-m1", "hostname") == "on-m1"
    assert "never" not in site.fabric.instances()


def test_an_evacuated_member_gives_its_instances_away_and_gets_them_back(site: IncusSite) -> None:
    first = site.fabric.member(1)
    first.run("incus", "cluster", "evacuate", "m2", "--force")
    site.wait_for(lambda: place(site, "on-m2") in ("m1", "m3"), "the move")
    site.wait_for(lambda: site.state("on-m2") == "Running", "its start")
    assert site.inside("on-m2", "hostname") == "on-m2"
    first.run("incus", "cluster", "restore", "m2", "--force")
    site.wait_for(lambda: place(site, "on-m2") == "m2", "the move back")
    site.wait_for(lambda: site.state("on-m2") == "Running", "its start")
    assert site.inside("on-m2", "hostname") == "on-m2"


def place(site: IncusSite, name: str) -> str:
    rows = site.done("list", "--location", "--format", "csv").splitlines()
    return next(row.split(",")[-1] for row in rows if row.startswith(f"{name},"))
