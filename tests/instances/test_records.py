"""Records that are damaged while machines run: nobody's machine or disk goes with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.instances.site import Site, silent_disk


@pytest.fixture
def running(own: Site, tmp_path: Path) -> Site:
    """Where foo runs, whose record was emptied while no daemon was there."""
    own.run_silent("foo", silent_disk(tmp_path / "disk.raw"))
    own.daemon.kill()
    (own.storage / "data/instances/foo.json").write_bytes(b"")
    return own


def test_a_machine_whose_record_is_damaged_goes_on_and_is_taken_up_again(running: Site) -> None:
    (before,) = running.qemus_of("foo")
    running.daemon.start()
    assert running.state("foo") == "Unknown"
    refused = running.cli("stop", "--force", "foo")
    assert refused.returncode == 2 and "foo can't be used: its record " in refused.stderr
    assert running.qemus_of("foo") == [before]
    running.done("recover", "foo")
    assert running.state("foo") == "Starting"
    assert running.qemus_of("foo") == [before]
    running.kill_daemon()
    assert running.state("foo") == "Starting"
    running.done("delete", "--purge", "foo")
    assert running.kept_of("foo") == [] and not running.qemus()


def test_a_damaged_instance_that_is_given_up_takes_its_machine_along(running: Site) -> None:
    running.daemon.start()
    running.done("delete", "--purge", "foo")
    assert running.states() == {}
    assert running.kept_of("foo") == [] and not running.qemus()


def test_all_records_lost_at_once_cost_nothing(running: Site) -> None:
    records = running.storage / "data/instances"
    (records / "foo.json").unlink()
    records.rmdir()
    running.daemon.start()
    assert running.state("foo") == "Unknown" and len(running.qemus_of("foo")) == 1
    running.done("recover", "foo")
    assert running.state("foo") == "Starting"
    running.done("delete", "--purge", "foo")


def test_a_boot_that_its_user_interrupted_can_be_stopped(own: Site, tiny_image: None) -> None:
    launching = own.begin("launch", "--name", "foo", "--memory", "160M", own.url)
    own.wait_for(lambda: own.logged("launch of foo: boot"), "the boot", 120)
    launching.kill()
    launching.communicate()
    own.wait_for(lambda: own.logged("foo was launched by client"), "the record of what is kept")
    own.done("stop", "foo")
    assert own.state("foo") == "Stopped"
    own.done("start", "foo")
    assert own.state("foo") == "Running"


def test_a_record_that_is_put_back_finds_the_machine_that_runs(own: Site, tmp_path: Path) -> None:
    own.run_silent("foo", silent_disk(tmp_path / "disk.raw"))
    (before,) = own.qemus_of("foo")
    own.daemon.kill()
    path = own.storage / "data/instances/foo.json"
    text = path.read_bytes()
    path.write_bytes(b"")
    own.daemon.start()
    assert own.state("foo") == "Unknown"
    path.with_name("new").write_bytes(text)
    path.with_name("new").rename(path)
    own.wait_for(lambda: own.state("foo") == "Starting", "that it is found")
    assert own.qemus_of("foo") == [before]
    own.done("delete", "--purge", "foo")
