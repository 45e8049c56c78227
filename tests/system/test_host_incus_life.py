"""An instance on an Incus cluster from launch to purge: the tests of an instance on QEMU, with the
same commands and texts, and what is different on a cluster."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances import test_life, test_transfer
from tests.instances.site import SIZE, Site
from tests.system.host import Host
from tests.system.incus_cluster import cluster
from tests.system.incus_site import IncusSite, incus_site

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def shared(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base) as fabric, incus_site(fabric) as site:
        yield site


@pytest.fixture(scope="module")
def foo(shared: IncusSite) -> Site:
    """A site where `foo` runs."""
    launched = shared.cli(
        "launch",
        "--name",
        "foo",
        *SIZE,
        "--cloud-init",
        "-",
        shared.url,
        input=test_life.CLOUD_INIT,
    )
    assert launched.stdout.endswith("Launched: foo\n"), (launched, shared.daemon.log_text())
    return shared


@pytest.fixture(scope="module")
def site(shared: IncusSite) -> Site:
    launched = shared.launch(test_transfer.NAME)
    assert launched.returncode == 0, launched
    return shared


# In the order of their story.
test_cloud_init_did_as_it_was_told = test_life.test_cloud_init_did_as_it_was_told
test_containers_keep_running_while_the_daemon_restarts_and_is_killed = (
    test_life.test_guests_keep_running_while_the_daemon_restarts_and_is_killed
)
test_a_delayed_stop_is_shown_cancelled_and_kept_over_a_restart = (
    test_life.test_a_delayed_stop_is_shown_cancelled_and_kept_over_a_restart
)
test_restart_boots = test_life.test_restart_boots


def test_info_has_the_figures_of_the_guest(foo: Site) -> None:
    info = json.loads(foo.done("info", "foo", "--format", "json"))["info"]["foo"]
    assert info["state"] == "Running"
    assert info["release"] == "Tiny 1.0 LTS"
    assert info["cpu_count"] == "1"
    assert len(info["load"]) == 3
    bare = foo.done("info", "foo", "--no-runtime-information", "--format", "csv")
    assert next(csv.DictReader(io.StringIO(bare)))["Load"] == ""


def test_a_container_is_not_suspended(foo: Site) -> None:
    refused = foo.cli("suspend", "foo")
    assert refused.returncode == 2, refused
    assert foo.state("foo") == "Running"


def test_settings_of_a_stopped_instance_are_the_clusters_at_its_next_start(foo: Site) -> None:
    foo.done("stop", "foo")
    for pair in ("cpus=2", "memory=192M", "disk=2G"):
        foo.done("set", f"local.foo.{pair}")
    shown = [foo.done("get", f"local.foo.{key}").strip() for key in ("cpus", "memory", "disk")]
    assert shown == ["2", "192.0MiB", "2.0GiB"]
    foo.done("start", "foo")
    assert isinstance(foo, IncusSite)
    there = foo.fabric.instances()["foo"]
    assert there["config"]["limits.cpu"] == "2"
    assert int(there["config"]["limits.memory"]) == 192 << 20
    assert int(there["devices"]["root"]["size"]) == 2 << 30


def test_what_a_cluster_can_not_do_is_refused(foo: Site, tmp_path: Path) -> None:
    foo.done("stop", "foo")
    for words in (
        ("export", "foo", str(tmp_path / "foo")),
        ("set", "local.foo.name=bar"),
        ("mount", "--type", "native", str(tmp_path), "foo:native"),
    ):
        refused = foo.cli(*words)
        assert refused.returncode == 2, refused
        assert "is not implemented on this backend" in refused.stderr, refused
    foo.done("start", "foo")


test_force_stops_one_that_starts = test_life.test_force_stops_one_that_starts
test_a_deleted_instance_can_be_recovered_and_nothing_is_left_of_a_purged_one = (
    test_life.test_a_deleted_instance_can_be_recovered_and_nothing_is_left_of_a_purged_one
)

test_files_and_directories_go_there_and_back = (
    test_transfer.test_files_and_directories_go_there_and_back
)
test_a_place_of_root_says_how_to_get_there = (
    test_transfer.test_a_place_of_root_says_how_to_get_there
)
test_a_disk_of_the_guest_that_fills_up_keeps_what_was_there = (
    test_transfer.test_a_disk_of_the_guest_that_fills_up_keeps_what_was_there
)
