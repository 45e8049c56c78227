"""On which host of a real cluster instances are: where they are launched, shown and moved, and what
`multipass-trust check` tells of the cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.instances.site import SIZE
from tests.system.host import Host
from tests.system.incus_cluster import NETWORK, PROJECT, cluster
from tests.system.incus_site import IncusSite, incus_site
from tools.sandbox import CHECKOUT

TRUST = CHECKOUT / "bin" / "multipass-trust"

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def shared(incus_base: Host) -> Iterator[IncusSite]:
    with cluster(incus_base, members=2) as fabric, incus_site(fabric) as site:
        yield site


def checked(site: IncusSite) -> dict[str, list[str]]:
    """The texts of what `check` finds of the cluster, by their levels."""
    done = subprocess.run(
        [*site.entering, sys.executable, "-I", str(TRUST), "check", "--format", "json",
         "--socket", str(site.sandbox.socket_path)],
        env=site.sandbox.daemon_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for each in json.loads(done.stdout)["findings"]:
        found.setdefault(each["level"], []).append(each["text"])
    return found


def place(site: IncusSite, name: str) -> str:
    listed = json.loads(site.done("list", "--format", "json"))["list"]
    return next(str(each.get("location")) for each in listed if each["name"] == name)


def bring(site: IncusSite, member: str, *, running: bool) -> None:
    """foo is on this member, and runs or is stopped; made where there is none. A module's tests may
    be divided among workers, so none can rely on another."""
    if "foo" not in site.states():
        site.done("launch", "--name", "foo", *SIZE, "--target", member, site.url)
    if place(site, "foo") != member:
        site.done("stop", "foo")
        site.done("move", "foo", member)
    if (site.state("foo") == "Running") != running:
        site.done("start" if running else "stop", "foo")


def test_a_launch_is_refused_on_a_host_that_is_not_there(shared: IncusSite) -> None:
    for member, told in (("m9", "has no host m9"), ("m1&project=default", "other characters")):
        refused = shared.cli("launch", "--name", "foo", *SIZE, "--target", member, shared.url)
        assert refused.returncode == 2 and told in refused.stderr, refused
    assert sorted(shared.states()) == sorted(shared.fabric.instances())


def test_an_instance_is_made_where_it_was_asked_for_and_shown_there(shared: IncusSite) -> None:
    bring(shared, "m2", running=True)
    assert shared.fabric.instances()["foo"]["location"] == "m2"
    header, row = shared.done("list", "--location").splitlines()
    assert header.endswith(" Location")
    assert row.startswith("foo ") and row.endswith(" m2")
    assert "m2" not in shared.done("list")
    table = shared.done("info", "-v", "foo")
    assert "Location:       m2\nReached:        through the cluster\n" in table
    about: dict[str, Any] = json.loads(shared.done("info", "--format", "json"))["info"]["foo"]
    assert (about["location"], about["reached"]) == ("m2", "through the cluster")


def test_networks_are_those_of_the_cluster(shared: IncusSite) -> None:
    (network,) = json.loads(shared.done("networks", "--format", "json"))["list"]
    assert (network["name"], network["type"]) == (NETWORK, "bridge")
    refused = shared.cli("launch", "--name", "bar", "--network", "eth0", shared.url)
    assert "Invalid network options supplied" in refused.stderr, refused


def test_a_running_instance_is_not_moved(shared: IncusSite) -> None:
    bring(shared, "m2", running=True)
    refused = shared.cli("move", "foo", "m1")
    told = "move failed: Multipass can only move stopped instances.\n"
    assert (refused.returncode, refused.stderr) == (2, told)
    assert place(shared, "foo") == "m2"


def test_a_move_takes_its_files_and_snapshots_along(shared: IncusSite) -> None:
    bring(shared, "m2", running=True)
    shared.inside("foo", "echo mine > kept && sync")
    shared.done("stop", "foo")
    shared.done("snapshot", "foo", "--name", "before")
    assert shared.done("move", "foo", "m1").splitlines()[-1] == "Moved: foo to m1"
    assert place(shared, "foo") == shared.fabric.instances()["foo"]["location"] == "m1"
    shared.done("start", "foo")
    assert shared.inside("foo", "cat kept; rm kept") == "mine"
    shared.done("stop", "foo")
    shared.done("restore", "--destructive", "foo.before")
    shared.done("start", "foo")
    assert shared.inside("foo", "cat kept") == "mine"
    shared.done("stop", "foo")


def test_a_move_whose_client_is_killed_goes_on(shared: IncusSite) -> None:
    bring(shared, "m1", running=False)
    moving = shared.begin("move", "foo", "m2")
    shared.wait_for(lambda: _is_moving(shared), "the move")
    os.kill(moving.pid, signal.SIGKILL)
    moving.wait()
    shared.wait_for(lambda: place(shared, "foo") == "m2", "its end")
    assert shared.state("foo") == "Stopped"


def test_a_move_under_a_daemon_that_is_killed_leaves_it_on_one_host(shared: IncusSite) -> None:
    bring(shared, "m2", running=True)
    shared.inside("foo", "echo mine > kept && sync")
    bring(shared, "m2", running=False)
    moving = shared.begin("move", "foo", "m1")
    shared.wait_for(lambda: _is_moving(shared), "the move")
    shared.kill_daemon()
    moving.wait()
    shared.wait_for(lambda: not _is_moving(shared), "its end at the cluster")
    shared.wait_for(
        lambda: place(shared, "foo") == shared.fabric.instances()["foo"]["location"], "its place"
    )
    shared.done("start", "foo")
    assert shared.inside("foo", "cat kept") == "mine"
    shared.done("stop", "foo")


def _is_moving(site: IncusSite) -> bool:
    """Incus forgets an operation seconds after its end."""
    shown = site.fabric.member(1).query(f"/1.0/operations?recursion=1&project={PROJECT}")
    every = [each for listed in (shown or {}).values() for each in listed]
    return any("igrating" in each["description"] and each["status"] == "Running" for each in every)


def test_check_names_what_the_cluster_lacks(shared: IncusSite) -> None:
    bring(shared, "m1", running=False)
    found = checked(shared)
    assert "the cluster's members are online: m1, m2" in found["ok"]
    assert not [each for each in found.get("problem", []) if "cluster" in each or PROJECT in each]
    first = shared.fabric.member(1)
    first.run("incus", "project", "unset", PROJECT, "restricted.snapshots")
    first.run("incus", "project", "set", PROJECT, "limits.instances=1")
    problems = checked(shared)["problem"]
    assert any("no restricted.snapshots=allow" in each for each in problems)
    assert any("is full: it uses 1 of limits.instances=1" in each for each in problems)
    first.run("incus", "project", "set", PROJECT, "restricted.snapshots=allow")
    first.run("incus", "project", "unset", PROJECT, "limits.instances")


def test_what_is_not_reached_is_told_by_list_info_and_check(shared: IncusSite) -> None:
    bring(shared, "m2", running=False)  # which `info` then tells it of
    shared.fabric.member(2).kill()
    shared.wait_for(lambda: "m2" in shared.cli("list").stderr, "the warning")
    for command in ("list", "info"):
        done = shared.cli(command)
        assert done.returncode == 0 and "not online: m2 (Offline)" in done.stderr, done
    assert any(each.startswith("the member m2 is offline") for each in checked(shared)["problem"])
    refused = shared.cli("launch", "--name", "bar", *SIZE, "--target", "m2", shared.url)
    assert refused.returncode == 2 and "m2" in refused.stderr, refused
