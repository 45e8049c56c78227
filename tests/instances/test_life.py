"""An instance from launch to purge, by the programs that users have. The tests tell one story, but
another worker may take over in the middle, so each can be the first after the launch.
"""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Iterator

import pytest

from tests.instances.site import LAUNCH_SECONDS, SIZE, Site
from tools import records

CLOUD_INIT = "runcmd:\n- echo made by $(whoami) > /made\n- touch '/run/a b'\ntimezone: Asia/Tokyo\n"
LEFT_RUNNING = "(sleep 5000 </dev/null >/dev/null 2>&1 &)"
SLEPT = 1000  # seconds
SLEEPERS = "ps | grep -c '[s]leep 5000'"


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Site]:
    """A site where `foo` runs."""
    launched = shared.cli(
        "launch", "--name", "foo", *SIZE, "--cloud-init", "-", shared.url, input=CLOUD_INIT
    )
    assert launched.stdout.endswith("Launched: foo\n"), launched
    yield shared


def test_cloud_init_did_as_it_was_told(foo: Site) -> None:
    assert foo.inside("foo", "hostname; cat /made") == "foo\nmade by root"
    assert "a b" in foo.inside("foo", "ls /run")
    assert foo.inside("foo", "cat /etc/timezone") == "Asia/Tokyo"


def test_info_has_the_figures_of_the_guest(foo: Site) -> None:
    info = json.loads(foo.done("info", "foo", "--format", "json"))["info"]["foo"]
    assert info["state"] == "Running"
    assert info["release"] == "Tiny 1.0 LTS"
    assert info["cpu_count"] == "1"
    assert len(info["load"]) == 3
    disk, memory = info["disks"]["sda1"], info["memory"]
    assert 0 < int(disk["used"]) < int(disk["total"]) <= 1 << 30
    assert 0 < memory["used"] < memory["total"] <= 160 << 20
    bare = foo.done("info", "foo", "--no-runtime-information", "--format", "csv")
    assert next(csv.DictReader(io.StringIO(bare)))["Load"] == ""


def test_guests_keep_running_while_the_daemon_restarts_and_is_killed(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.daemon.restart()
    assert foo.boot_id("foo") == before
    foo.kill_daemon()
    assert foo.boot_id("foo") == before
    assert foo.states() == {"foo": "Running"}


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


def test_a_guest_that_was_suspended_has_the_time_again(foo: Site) -> None:
    foo.inside("foo", f"sudo date -u -s @$(( $(date +%s) - {SLEPT} ))")  # as if it slept so long
    foo.done("suspend", "foo")
    foo.done("start", "foo")
    assert abs(int(foo.inside("foo", "date +%s")) - time.time()) < SLEPT / 2


def test_a_guest_whose_clock_is_ahead_keeps_it(foo: Site) -> None:
    foo.inside("foo", f"sudo date -u -s @$(( $(date +%s) + {SLEPT} ))")
    foo.done("suspend", "foo")
    foo.done("start", "foo")
    assert int(foo.inside("foo", "date +%s")) - time.time() > SLEPT / 2
    foo.inside("foo", f"sudo date -u -s @$(( $(date +%s) - {SLEPT} ))")


def test_a_delayed_stop_is_shown_cancelled_and_kept_over_a_restart(foo: Site) -> None:
    foo.done("stop", "--time", "5", "foo")
    assert foo.state("foo") == "Delayed Shutdown"
    foo.kill_daemon()
    foo.inside("foo", "true")  # waits until it is reached again, and cancels nothing
    assert foo.state("foo") == "Delayed Shutdown"
    foo.done("stop", "--cancel", "foo")
    foo.done("stop", "--cancel", "foo")
    assert foo.state("foo") == "Running"


def test_restart_boots(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.inside("foo", "echo kept > /home/ubuntu/file")
    foo.done("restart", "foo")
    assert foo.boot_id("foo") != before
    assert foo.inside("foo", "cat /home/ubuntu/file") == "kept"


def test_a_delayed_stop_that_is_due_stops(foo: Site) -> None:
    foo.done("stop", "--time", "1", "foo")
    last_minute = foo.cli("exec", "foo", "--", "true")
    assert last_minute.returncode == 2
    assert "is scheduled to shut down in less than a minute" in last_minute.stderr
    foo.daemon.kill()
    _make_due(foo, "foo")  # as if the minute had passed
    foo.daemon.start()
    # It is reached again first, and then has the service's 120 s to power down.
    foo.wait_for(lambda: foo.state("foo") == "Stopped", "the stop that was due", LAUNCH_SECONDS)
    assert not foo.logged("foo ignores the power button")
    foo.done("stop", "foo")  # stopped already


def _make_due(site: Site, name: str) -> None:
    known = records.registry(site.sandbox)
    known.load()
    (record,) = (each for each in known.all() if each.name == name)
    assert 0 < record.stop_at - time.time() <= 60
    known.put(record.replace(stop_at=time.time()))


def test_force_stops_one_that_starts(foo: Site) -> None:
    foo.done("stop", "--force", "foo")
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
    foo.done("delete", "foo")
    assert foo.state("foo") == "Deleted"
    refused = foo.cli("start", "foo")
    assert (refused.returncode, "is deleted" in refused.stderr) == (2, True)
    foo.done("recover", "foo")
    assert foo.state("foo") == "Stopped"
    foo.done("delete", "foo")
    foo.done("purge")
    log = foo.daemon.log_text()
    told = re.findall(r"foo was (\w+) by client [0-9a-f]{16}(?: \(.+\))?, uid \d+", log)
    assert told[-4:] == ["deleted", "recovered", "deleted", "purged"]
    assert told[0] == "launched", "the journal says who did it"
    assert {"accessed", "stopped", "started"} <= set(told)
    assert foo.states() == {}
    assert not foo.kept_of("foo") and not foo.qemus()
