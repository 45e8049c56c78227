"""An instance from launch to purge, by the programs that users have; the tests tell one story."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.instances.site import Site

CLOUD_INIT = "runcmd:\n- echo made by $(whoami) > /made\n- touch '/run/a b'\ntimezone: Asia/Tokyo\n"
LEFT_RUNNING = "(sleep 5000 </dev/null >/dev/null 2>&1 &)"
SLEEPERS = "ps | grep -c '[s]leep 5000'"


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Site]:
    """A site where `foo` and `bar` run, launched at the same time."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(
            shared.cli, *_launch("foo", shared, "--cloud-init", "-"), input=CLOUD_INIT
        )
        second = pool.submit(shared.launch, "bar", "--cpus", "2")
    assert first.result().stdout.endswith("Launched: foo\n"), first.result()
    assert second.result().stdout.endswith("Launched: bar\n"), second.result()
    yield shared


def _launch(name: str, site: Site, *options: str) -> tuple[str, ...]:
    return ("launch", "--name", name, "--memory", "160M", "--disk", "1G", *options, site.url)


def test_two_launches_at_once_make_two_instances_of_one_download(foo: Site) -> None:
    assert foo.states() == {"foo": "Running", "bar": "Running"}
    assert len([path for path in (foo.storage / "images").iterdir() if path.is_dir()]) == 1
    assert foo.inside("foo", "hostname") == "foo"
    assert foo.inside("bar", "hostname; nproc") == "bar\n2"


def test_cloud_init_did_as_it_was_told(foo: Site) -> None:
    assert foo.inside("foo", "cat /made") == "made by root"
    assert "a b" in foo.inside("foo", "ls /run")
    assert foo.inside("foo", "cat /etc/timezone") == "Asia/Tokyo"


def test_info_has_the_figures_of_the_guest(foo: Site) -> None:
    info = json.loads(foo.done("info", "bar", "--format", "json"))["info"]["bar"]
    assert info["state"] == "Running"
    assert info["release"] == "Tiny 1.0 LTS"
    assert info["cpu_count"] == "2"
    assert len(info["load"]) == 3
    disk, memory = info["disks"]["sda1"], info["memory"]
    assert 0 < int(disk["used"]) < int(disk["total"]) <= 1 << 30
    assert 0 < memory["used"] < memory["total"] <= 160 << 20
    bare = foo.done("info", "bar", "--no-runtime-information", "--format", "csv")
    assert next(csv.DictReader(io.StringIO(bare)))["Load"] == ""


def test_guests_keep_running_while_the_daemon_restarts_and_is_killed(foo: Site) -> None:
    before = foo.boot_id("foo"), foo.boot_id("bar")
    foo.daemon.restart()
    assert (foo.boot_id("foo"), foo.boot_id("bar")) == before
    foo.kill_daemon()
    assert (foo.boot_id("foo"), foo.boot_id("bar")) == before
    assert foo.states() == {"foo": "Running", "bar": "Running"}


def test_a_suspended_guest_goes_on_where_it_was(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.inside("foo", LEFT_RUNNING)
    foo.done("suspend", "foo")
    foo.done("suspend", "foo")  # no effect
    assert foo.state("foo") == "Suspended"
    refused = foo.cli("stop", "foo")
    assert refused.returncode == 2
    assert "Cannot shut down suspended instance foo." in refused.stderr
    foo.done("start", "foo")
    assert (foo.boot_id("foo"), foo.inside("foo", SLEEPERS)) == (before, "1")
    # A state that was gone on from must never be loaded again: the disk has changed since.
    assert not (foo.storage / "machines/foo/suspended").exists()


def test_a_delayed_stop_is_shown_cancelled_and_kept_over_a_restart(foo: Site) -> None:
    foo.done("stop", "--time", "5", "bar")
    assert foo.state("bar") == "Delayed Shutdown"
    foo.kill_daemon()
    foo.wait_for(lambda: foo.state("bar") == "Delayed Shutdown", "the delayed stop")
    foo.done("stop", "--cancel", "bar")
    foo.done("stop", "--cancel", "bar")
    assert foo.state("bar") == "Running"


def test_a_delayed_stop_that_is_due_stops(foo: Site) -> None:
    foo.done("stop", "--time", "1", "bar")
    last_minute = foo.cli("exec", "bar", "--", "true")
    assert last_minute.returncode == 2
    assert "is scheduled to shut down in less than a minute" in last_minute.stderr
    foo.wait_for(lambda: foo.state("bar") == "Stopped", "the stop that was due", seconds=120)
    foo.done("stop", "bar")  # stopped already
    foo.done("start", "bar")


def test_restart_boots(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.inside("foo", "echo kept > /home/ubuntu/file")
    foo.done("restart", "foo")
    assert foo.boot_id("foo") != before
    assert foo.inside("foo", "cat /home/ubuntu/file") == "kept"


def test_force_stops_in_any_state(foo: Site) -> None:
    foo.done("stop", "--force", "foo")
    assert foo.state("foo") == "Stopped"
    starting = foo.starting("foo")
    foo.wait_for(lambda: foo.state("foo") == "Starting", "the start")
    refused = foo.cli("stop", "foo")
    assert (refused.returncode, "while starting" in refused.stderr) == (2, True)
    foo.done("stop", "--force", "foo")
    assert starting.wait() == 2
    assert foo.state("foo") == "Stopped"
    foo.done("stop", "--force", "foo")
    assert foo.qemus_of("foo") == []


def test_a_deleted_instance_can_be_recovered_and_nothing_is_left_of_a_purged_one(
    foo: Site,
) -> None:
    foo.done("delete", "bar")
    assert foo.state("bar") == "Deleted"
    refused = foo.cli("start", "bar")
    assert (refused.returncode, "is deleted" in refused.stderr) == (2, True)
    foo.done("recover", "bar")
    assert foo.state("bar") == "Stopped"
    foo.done("delete", "bar")
    foo.done("purge")
    foo.done("delete", "--purge", "foo")
    assert foo.states() == {}
    assert foo.kept_of("foo") == foo.kept_of("bar") == []
    assert foo.qemus() == []
