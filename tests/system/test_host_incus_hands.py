"""What is done to instances with `incus` by hand, two services in one project, and refused tokens.

One member, and one service unless a test makes a second one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.instances.site import SIZE
from tests.system.host import Host
from tests.system.incus_cluster import PROJECT, Cluster, cluster
from tests.system.incus_site import IncusSite, incus_site

SMALL_POOL = "/srv/small"
TAKEN = "has an instance {} already, which this service has not made"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def fabric(incus_base: Host) -> Iterator[Cluster]:
    with cluster(incus_base) as formed:
        yield formed


@pytest.fixture(scope="module")
def site(fabric: Cluster) -> Iterator[IncusSite]:
    with incus_site(fabric) as made:
        yield made


@pytest.fixture
def foo(site: IncusSite) -> Iterator[IncusSite]:
    """A site where `foo` runs; it is removed afterwards."""
    launch(site, "foo")
    yield site
    site.done("delete", "--purge", "foo")
    assert site.kept_of("foo") == []


def launch(site: IncusSite, name: str) -> None:
    launched = site.launch(name)
    assert launched.returncode == 0, (launched, site.daemon.log_text()[-3000:])


def by_hand(fabric: Cluster, *words: str) -> None:
    fabric.member(1).run("incus", "--project", PROJECT, *words)


def test_what_is_stopped_and_started_by_hand_is_shown_so(foo: IncusSite) -> None:
    by_hand(foo.fabric, "stop", "foo", "--force")
    foo.wait_for(lambda: foo.state("foo") == "Stopped", "the stop")
    by_hand(foo.fabric, "start", "foo")
    foo.wait_for(lambda: foo.state("foo") == "Running", "the start")
    assert foo.inside("foo", "hostname") == "foo"
    foo.daemon.restart()
    assert foo.state("foo") != "Stopped", "also before it was reached again"
    by_hand(foo.fabric, "restart", "foo", "--force")
    foo.wait_for(lambda: foo.state("foo") == "Running", "the restart")
    assert foo.inside("foo", "hostname") == "foo"


def test_what_is_stopped_by_hand_while_the_daemon_is_down_is_shown_so(foo: IncusSite) -> None:
    foo.daemon.stop()
    by_hand(foo.fabric, "stop", "foo", "--force")
    foo.daemon.start()
    foo.wait_for(lambda: foo.state("foo") == "Stopped", "the stop")
    foo.done("start", "foo")
    assert foo.inside("foo", "hostname") == "foo"


def test_what_was_removed_by_hand_is_told_and_can_be_forgotten(foo: IncusSite) -> None:
    by_hand(foo.fabric, "delete", "foo", "--force")
    foo.wait_for(lambda: foo.state("foo") != "Running", "the end")
    refused = foo.cli("start", "foo")
    assert refused.returncode == 2
    assert "another program has removed it" in refused.stderr
    launch(foo, "bar")  # all else works
    foo.done("delete", "--purge", "bar")


def test_what_was_renamed_by_hand_is_not_touched_under_its_new_name(foo: IncusSite) -> None:
    by_hand(foo.fabric, "stop", "foo", "--force")
    by_hand(foo.fabric, "rename", "foo", "other")
    refused = foo.cli("start", "foo")
    assert refused.returncode == 2, refused
    foo.done("delete", "--purge", "foo")
    assert "other" in foo.fabric.instances()
    by_hand(foo.fabric, "rename", "other", "foo")
    assert foo.states() == {}
    by_hand(foo.fabric, "delete", "foo")
    launch(foo, "foo")


def test_an_instance_that_another_program_made_is_neither_shown_nor_touched(
    foo: IncusSite,
) -> None:
    image = next(iter(foo.fabric.instances().values()))["config"]["volatile.base_image"]
    by_hand(foo.fabric, "init", image, "mine", "--no-profiles", "-s", "default")
    assert foo.states() == {"foo": "Running"}
    refused = foo.launch("mine")
    assert refused.returncode == 2 and TAKEN.format("mine") in refused.stderr
    for words in (("start", "mine"), ("delete", "--purge", "mine")):
        assert "does not exist" in foo.cli(*words).stderr
    foo.kill_daemon()
    assert foo.inside("foo", "hostname") == "foo"
    assert foo.states() == {"foo": "Running"}
    assert foo.fabric.instances()["mine"]["status"] == "Stopped"
    by_hand(foo.fabric, "delete", "mine")


def test_a_copy_by_hand_belongs_to_who_made_it(foo: IncusSite) -> None:
    """It has the tags of its source."""
    by_hand(foo.fabric, "stop", "foo", "--force")
    by_hand(foo.fabric, "copy", "foo", "copied")
    foo.kill_daemon()
    launch(foo, "bar")  # the cluster was listed, and left-overs removed
    foo.done("delete", "--purge", "bar")
    assert foo.states() == {"foo": "Stopped"}
    assert set(foo.fabric.instances()) == {"foo", "copied"}
    by_hand(foo.fabric, "delete", "copied")


def test_a_second_service_leaves_what_the_first_one_made_alone(foo: IncusSite) -> None:
    with incus_site(foo.fabric) as second:
        assert second.states() == {}
        refused = second.launch("foo")
        assert refused.returncode == 2 and TAKEN.format("foo") in refused.stderr
        launch(second, "bar")
        foo.kill_daemon()
        second.kill_daemon()
        assert second.inside("bar", "hostname") == "bar"
        assert foo.inside("foo", "hostname") == "foo"
        assert foo.states() == {"foo": "Running"} and second.states() == {"bar": "Running"}
        assert "does not exist" in second.cli("delete", "--purge", "foo").stderr
        second.done("delete", "--purge", "--all")
        assert foo.inside("foo", "hostname") == "foo"
        assert set(foo.fabric.instances()) == {"foo"}


def test_a_token_is_good_once_and_for_its_own_cluster(incus_base: Host, fabric: Cluster) -> None:
    token = fabric.token("once")
    with incus_site(fabric, joined=False) as joining:
        joining.join(token)
        with incus_site(fabric, joined=False) as other:
            other.done("set", "local.driver=incus")
            for wrong in (token, "eyJ", token[:40]):
                refused = other.cli("set", f"local.incus.token={wrong}")
                assert refused.returncode == 2, refused
                assert token not in refused.stderr
            assert (
                "has joined no Incus cluster"
                in other.cli("launch", "--name", "bar", other.url).stderr
            )
        launch(joining, "bar")
        with cluster(incus_base) as elsewhere:
            refused = joining.cli("set", f"local.incus.token={elsewhere.token()}")
            assert refused.returncode == 2, refused
        assert joining.states() == {"bar": "Running"}
        joining.done("delete", "--purge", "bar")


def test_a_pool_that_fills_up_fails_the_launch_and_keeps_what_is_there(foo: IncusSite) -> None:
    member = foo.fabric.member(1)
    member.run("mkdir", "-p", SMALL_POOL)
    member.run("mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", SMALL_POOL)
    member.run("incus", "storage", "create", "small", "dir", f"source={SMALL_POOL}")
    foo.done("set", "local.incus.pool=small")
    launch(foo, "fits")
    refused = foo.cli("launch", "--name", "more", *SIZE, foo.url)
    assert refused.returncode == 2, refused
    assert "out of disk space" in refused.stderr.lower()
    assert foo.kept_of("more") == []
    full = foo.cli("exec", "fits", "--", "sh", "-c", "cat /dev/zero > filler")
    assert "No space left on device" in full.stderr
    foo.cli("stop", "fits")
    refused = foo.cli("snapshot", "fits")
    assert refused.returncode == 2, refused
    assert foo.states() == {"foo": "Running", "fits": "Stopped"}
    assert "fits" not in foo.done("list", "--snapshots")
    foo.done("delete", "--purge", "fits")
    foo.done("set", "local.incus.pool=")
    member.run("incus", "storage", "delete", "small")
