"""Snapshots and a clone of a real instance: what it had is there again, and the two are two."""

from __future__ import annotations

import json

import pytest

from tests.instances.site import Site

STOPPED = "Multipass can only {} stopped instances.\n"
MACHINE_ID = "cat /etc/machine-id"
MAC = "cat /sys/class/net/eth0/address"


@pytest.fixture(scope="module")
def foo(shared: Site) -> Site:
    """A running instance with the snapshot `first`, taken when /root/file had `one`; it has `two`
    now."""
    assert shared.launch("foo").returncode == 0
    shared.inside("foo", "echo one | sudo tee /root/file; sync")
    shared.done("stop", "foo")
    taken = shared.done("snapshot", "foo", "--name", "first", "--comment", "as it was")
    assert taken == "Snapshot taken: foo.first\n"
    shared.done("start", "foo")
    shared.inside("foo", "echo two | sudo tee /root/file; sync")
    return shared


def test_a_running_instance_is_refused_with_a_sentence_and_runs_on(foo: Site) -> None:
    before = foo.boot_id("foo")
    for words, what in (
        (("snapshot", "foo"), "take snapshots of"),
        (("restore", "--destructive", "foo.first"), "restore snapshots of"),
        (("clone", "foo"), "clone"),
    ):
        answer = foo.cli(*words)
        assert (answer.returncode, answer.stderr) == (
            2, f"{words[0]} failed: {STOPPED.format(what)}",
        )  # fmt: skip
    answer = foo.cli("delete", "--purge", "foo.first")
    assert answer.returncode == 2 and "while it is running" in answer.stderr
    info = json.loads(foo.done("info", "foo", "foo.first", "--format", "json"))["info"]["foo"]
    assert info["snapshot_count"] == "1"
    assert info["snapshots"]["first"]["comment"] == "as it was"
    assert foo.boot_id("foo") == before


def test_a_snapshots_size_is_shown(foo: Site) -> None:
    info = json.loads(foo.done("info", "foo.first", "--format", "json"))["info"]["foo"]
    assert info["snapshots"]["first"]["size"].endswith("MiB")


def test_what_a_snapshot_had_is_back_and_a_clone_is_another_machine(foo: Site) -> None:
    foo.done("stop", "foo")
    for pair in ("cpus=2", "memory=192M", "disk=2G"):
        foo.done("set", f"local.foo.{pair}")
    session = foo.on_terminal("restore", "foo.first", answers=[("(Yes/no): ", "")])
    assert session.returncode == 0
    assert "Snapshot taken: foo.snapshot2" in session.output
    assert "Snapshot restored: foo.first" in session.output
    shown = [foo.done("get", f"local.foo.{key}").strip() for key in ("cpus", "memory", "disk")]
    assert shown == ["1", "160.0MiB", "1.0GiB"]
    listed = foo.done("list", "--snapshots", "--format", "csv").splitlines()[1:]
    assert listed == ['foo,first,,"as it was"', 'foo,snapshot2,first,"Before restoring first"']

    assert foo.done("clone", "foo") == "Cloned from foo to foo-clone1.\n"
    assert foo.state("foo-clone1") == "Stopped"
    foo.done("start", "foo", "foo-clone1")
    both = ("foo", "foo-clone1")
    assert [foo.inside(name, "hostname") for name in both] == list(both)
    assert [foo.inside(name, "sudo cat /root/file") for name in both] == ["one", "one"]
    for command in (MACHINE_ID, MAC):
        source, clone = (foo.inside(name, command) for name in both)
        assert source != clone and len(source) == len(clone)
    # Each log-in above was to the host key that the service has on record.
    keys = {json.loads(path.read_text())["host_key"] for path in foo.records("foo")}
    assert len(keys) == 2
    info = json.loads(foo.done("info", "--format", "json"))["info"]
    assert [info[name]["snapshot_count"] for name in both] == ["2", "0"]
    machine_id = foo.inside("foo-clone1", MACHINE_ID)
    foo.done("restart", "foo-clone1")
    assert foo.inside("foo-clone1", MACHINE_ID) == machine_id, "renewed once"

    foo.done("stop", "foo")
    foo.done("restore", "--destructive", "foo.snapshot2")
    foo.done("start", "foo")
    assert foo.inside("foo", "sudo cat /root/file") == "two"
    foo.done("delete", "--purge", *both)
    assert foo.kept_of("foo") == []
