"""kill -9 of the daemon at each stage of a launch and of a purge: after its next start there is an
instance that works, or none, and nothing else. The log tells which stage it was killed in.

The image is a disk without a system: QEMU runs it, and what is to be seen here is who runs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.instances.site import LAUNCH_SECONDS, SIZE, SMALL, Site, give_up
from tests.instances.stepping import step_until
from tools.imageserver import ImageServer

TIMES = 2
TRIES = 8  # to kill in a stage that is short
PURGES = 4  # half of them are killed before QEMU has ended
BEFORE_RECORD = ("image", "overlay", "seed")
AFTER_RECORD = ("record", "start", "boot")
# Steps that end before the log can be read on a busy machine; and the longer step before each.
SHORT = {"record": "seed"}


Begin = Callable[[Site, str], "subprocess.Popen[str]"]


def begin(site: Site, name: str) -> subprocess.Popen[str]:
    return site.begin("launch", "--name", name, *SMALL, "noble")


def _fetched(server: ImageServer, before: int) -> bool:
    return len(server.fetched(".img")) > before


def _gone(path: Path) -> bool:
    return not path.exists()


def _ended(site: Site, name: str) -> bool:
    return not site.qemus_of(name)


def check_nothing_is_stray(site: Site) -> None:
    """Each process, directory and record belongs to an instance that is listed."""
    states = site.states()
    assert sorted(path.name for path in place(site, "machines")) == sorted(states)
    running = [name for name, state in states.items() if state not in ("Stopped", "Suspended")]
    assert sorted(path.name for path in place(site, "run") if path.is_dir()) == sorted(running)
    assert len(site.qemus()) == len(running)
    for name in running:
        assert len(site.qemus_of(name)) == 1


def place(site: Site, name: str) -> list[Path]:
    path = site.storage / name
    return list(path.iterdir()) if path.exists() else []


def check_it_works(site: Site, name: str) -> None:
    """It can be started, and QEMU runs it; its system would never answer."""
    disk = site.storage / "machines" / name / "disk.qcow2"
    if site.state(name) == "Stopped":
        starting = site.starting(name)
        site.wait_for(lambda: site.state(name) == "Starting", "the start")
        site.wait_for(lambda: bool(site.qemus_of(name)), "QEMU")
        give_up(starting)
    site.done("stop", "--force", name)
    subprocess.run(["qemu-img", "check", "-q", str(disk)], check=True)


def kill_at(site: Site, name: str, stage: str, start: Begin = begin) -> bool:
    """As soon as the log tells that this stage begins. Did it tell of no later one by then?"""
    launching = start(site, name)

    def told_of(stage: str) -> bool:
        assert launching.poll() is None, launching.communicate()
        return site.logged(f"launch of {name}: {stage}")

    if before := SHORT.get(stage):
        while not told_of(before):
            pass
        with suppress(PermissionError):  # then looks at the log have to be quick enough
            step_until(site.daemon.pid, partial(told_of, stage))
    while not told_of(stage):
        pass
    os.kill(site.daemon.pid, signal.SIGSTOP)
    site.daemon.kill()
    launching.kill()
    launching.communicate()
    return last_stage(site, name) == stage


def last_stage(site: Site, name: str) -> str:
    """The last one that the log tells of."""
    mark = f"launch of {name}: "
    lines = site.daemon.log_text().splitlines()
    return next(line for line in reversed(lines) if mark in line).partition(mark)[2]


@pytest.mark.parametrize("stage", [*BEFORE_RECORD, *AFTER_RECORD])
def test_a_launch_killed_at_a_stage_leaves_an_instance_that_works_or_none(
    served: Site, stage: str
) -> None:
    hits = 0
    for number in range(TRIES):
        name = f"foo{number}"
        hits += kill_at(served, name, stage)
        served.daemon.start()
        check_nothing_is_stray(served)
        states = served.states()
        if stage == "boot":
            assert states[name] == "Starting"
        if name in states:
            check_it_works(served, name)
            served.done("delete", "--purge", name)
        assert served.kept_of(name) == []
        if hits == TIMES:
            return
    raise AssertionError(f"only {hits} of {TRIES} launches were killed in time")


def test_a_launch_killed_while_it_downloads_leaves_nothing_but_what_the_next_one_uses(
    served: Site, server: ImageServer
) -> None:
    for number in range(TIMES):
        server.faults.gate = threading.Event()
        asked = len(server.fetched(".img"))
        launching = begin(served, f"foo{number}")
        served.wait_for(partial(_fetched, server, asked), "the download")
        assert not served.logged(f"launch of foo{number}: overlay")
        served.daemon.kill()
        server.faults.gate.set()
        launching.communicate()
        served.daemon.start()
        check_nothing_is_stray(served)
        assert served.states() == {}
    server.faults.gate = None
    kill_at(served, "foo", "boot")
    served.daemon.start()
    assert served.state("foo") == "Starting"
    served.done("delete", "--purge", "foo")


def test_a_launch_killed_while_its_image_is_verified_leaves_no_instance(served: Site) -> None:
    """The worker's files of the image are complete or absent."""
    hits = 0
    for number in range(TRIES):
        name = f"foo{number}"
        hits += kill_at(served, name, "verify")
        served.daemon.start()
        check_nothing_is_stray(served)
        assert served.states() == {}
        assert served.kept_of(name) == []
        served.run_silent(f"bar{number}", "noble")
        check_it_works(served, f"bar{number}")
        served.done("delete", "--purge", f"bar{number}")
        if hits == TIMES:
            return
        shutil.rmtree(served.storage / "images")
    raise AssertionError(f"only {hits} of {TRIES} launches were killed in time")


def test_a_launch_killed_while_it_waits_for_cloud_init_leaves_one_that_works(
    shared: Site,
) -> None:
    for number in range(TIMES):
        name = f"foo{number}"
        launching = shared.begin(
            "launch", "--name", name, *SIZE, "--cloud-init", slow_start(shared), shared.url
        )
        shared.wait_for(
            partial(shared.logged, f"launch of {name}: wait"), "the log-in", LAUNCH_SECONDS
        )
        shared.daemon.kill()
        assert last_stage(shared, name) == "wait"
        _, told = launching.communicate()
        assert launching.returncode == 2, told
        shared.daemon.start()
        check_nothing_is_stray(shared)
        assert shared.inside(name, "hostname") == name
        assert shared.states() == {name: "Running"}
        shared.done("delete", "--purge", name)
        assert shared.kept_of(name) == [] and not shared.qemus()


def slow_start(site: Site) -> str:
    """User data whose first boot never ends."""
    path = site.sandbox.root / "slow.yaml"
    path.write_text("runcmd:\n- sleep 5000\n")
    return str(path)


def test_a_purge_killed_at_any_moment_leaves_the_instance_or_nothing(served: Site) -> None:
    outcomes = set()
    for number in range(PURGES):
        name = f"foo{number}"
        launching = begin(served, name)
        served.wait_for(partial(served.logged, f"launch of {name}: boot"), "the boot")
        record = served.storage / "data/instances" / f"{name}.json"
        purging = served.begin("delete", "--purge", name)
        if number % 2:
            served.wait_for(partial(_gone, record), "the purge")
        else:
            served.wait_for(partial(_ended, served, name), "the end of QEMU")
        served.daemon.kill()
        launching.communicate()
        purging.communicate()
        served.daemon.start()
        check_nothing_is_stray(served)
        outcomes.add(served.state(name))
        if served.state(name):
            check_it_works(served, name)
            served.done("delete", "--purge", name)
        assert served.kept_of(name) == []
    assert outcomes <= {"", "Stopped"}
