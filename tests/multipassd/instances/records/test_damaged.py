"""Instances whose records were damaged or lost, by the real commands at a real daemon: each is
listed, its name is taken, its disk stays, and there are two ways out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.instances.records.registry import Registry
from tests.conftest import DaemonFactory
from tests.multipassd.admin.trust import Trust
from tools import records
from tools.daemon import Daemon
from tools.sandbox import Sandbox

HELD = b"what a user keeps"


def empty(record: Path) -> None:
    record.write_bytes(b"")


def zero(record: Path) -> None:
    record.write_bytes(bytes(record.stat().st_size))


def cut(record: Path) -> None:
    record.write_bytes(record.read_bytes()[:100])


def remove(record: Path) -> None:
    record.unlink()


def remove_all(record: Path) -> None:
    shutil.rmtree(record.parent)


DAMAGES = (empty, zero, cut, remove, remove_all)


def registry(sandbox: Sandbox) -> Registry:
    return records.registry(sandbox)


@pytest.fixture
def disk(sandbox: Sandbox) -> Path:
    """Of the instance foo."""
    known = registry(sandbox)
    known.make_place("foo")
    disk = known.place("foo") / "disk.qcow2"
    disk.write_bytes(HELD)
    known.put(records.make("foo", cpus=3))
    return disk


def record(sandbox: Sandbox) -> Path:
    return sandbox.data / "instances" / "foo.json"


def states(service: Daemon) -> dict[str, str]:
    listed = json.loads(service.cli("alice", "list", "--format", "json").stdout)["list"]
    return {each["name"]: each["state"] for each in listed}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_instance_is_listed_and_its_disk_survives_all_but_its_purge(
    daemon: DaemonFactory, sandbox: Sandbox, disk: Path, damage: Callable[[Path], None]
) -> None:
    damage(record(sandbox))
    service = daemon(sandbox=sandbox)
    assert states(service) == {"foo": "Unknown"}
    told = service.cli("alice", "info", "-v", "foo")
    assert "State:          Unknown" in told.stdout
    assert f"foo can't be used: its record {record(sandbox)} " in told.stderr
    assert "multipass recover foo" in told.stderr
    service.cli("alice", "set", "client.primary-name=foo")
    for words in (
        ("launch", "--name", "foo"),
        ("launch", "--name", "foo", f"file://{disk}"),
        ("shell",),
        ("shell", "foo"),
        ("exec", "foo", "--", "true"),
        ("start", "foo"),
        ("stop", "foo"),
        ("stop", "--force", "foo"),
        ("restart", "foo"),
        ("suspend", "foo"),
        ("delete", "foo"),
        ("set", "local.foo.cpus=2"),
        ("get", "local.foo.cpus"),
    ):
        answer = service.cli("alice", *words)
        assert answer.returncode == 2, (words, answer)
        assert "foo can't be used: its record " in answer.stderr, words
        assert "instance" not in words[0] and disk.read_bytes() == HELD, words
    for words in (("delete", "--all", "--purge"), ("purge",), ("start", "--all")):
        service.cli("alice", *words)
        assert disk.read_bytes() == HELD, words
    assert states(service.restart()) == {"foo": "Unknown"}
    assert disk.read_bytes() == HELD


@pytest.mark.parametrize("damage", DAMAGES)
def test_recover_rebuilds_the_record(
    daemon: DaemonFactory, sandbox: Sandbox, disk: Path, damage: Callable[[Path], None]
) -> None:
    damage(record(sandbox))
    service = daemon(sandbox=sandbox)
    assert service.cli("alice", "recover", "foo").returncode == 0
    assert states(service) == {"foo": "Stopped"}
    assert service.cli("alice", "get", "local.foo.cpus").stdout == "3\n"
    assert states(service.restart()) == {"foo": "Stopped"}
    assert "not running" not in service.cli("alice", "info", "-v", "foo").stderr
    assert disk.read_bytes() == HELD


@pytest.mark.parametrize("damage", DAMAGES)
def test_purging_it_by_its_name_gives_it_up(
    daemon: DaemonFactory, sandbox: Sandbox, disk: Path, damage: Callable[[Path], None]
) -> None:
    damage(record(sandbox))
    service = daemon(sandbox=sandbox)
    assert service.cli("alice", "delete", "--purge", "foo").returncode == 0
    assert states(service) == {}
    assert not disk.parent.exists() and not record(sandbox).exists()
    assert states(service.restart()) == {}


def test_without_a_copy_there_is_a_sentence(
    daemon: DaemonFactory, sandbox: Sandbox, disk: Path
) -> None:
    (disk.parent / "record.json").unlink()
    empty(record(sandbox))
    service = daemon(sandbox=sandbox)
    answer = service.cli("alice", "recover", "foo")
    assert answer.returncode == 2 and "There is no usable copy of the record" in answer.stderr
    assert states(service) == {"foo": "Unknown"} and disk.read_bytes() == HELD


def test_what_came_while_the_daemon_ran_keeps_its_name(
    daemon: DaemonFactory, sandbox: Sandbox
) -> None:
    service = daemon(sandbox=sandbox)
    kept = sandbox.storage / "machines" / "foo" / "disk.qcow2"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(HELD)
    answer = service.cli("alice", "launch", "--name", "foo")
    assert answer.returncode == 2 and "A restart of the service reads it." in answer.stderr
    assert kept.read_bytes() == HELD


def test_one_of_a_later_release_is_not_to_be_purged(
    daemon: DaemonFactory, sandbox: Sandbox, disk: Path
) -> None:
    path = record(sandbox)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    said = daemon(sandbox=sandbox).cli("alice", "start", "foo").stderr
    assert "a later release wrote it" in said
    assert "Install the later release of the service again" in said and "purge" not in said
    checked = Trust(sandbox).run("check").stdout
    assert "next: Install the later release" in checked and "purge" not in checked


@pytest.mark.parametrize("name", ["machines/foo/disk.qcow2", "machines/foo/seed.iso", "machines"])
def test_check_names_an_instance_whose_files_are_missing(
    sandbox: Sandbox, disk: Path, name: str
) -> None:
    disk.with_name("seed.iso").touch()
    assert "the records of 1 instance" in Trust(sandbox).run("check").stdout
    lost = sandbox.storage / name
    lost.rename(sandbox.storage / "away")
    said = Trust(sandbox).run("check").stdout
    assert f"PROBLEM  {lost} is missing, without which foo can't be started" in said
    assert "If it is on a file system that is not mounted, mount that" in said
    assert "the records of 1 instance" not in said


@pytest.mark.parametrize("name", ["machines", "data/instances"])
def test_check_finds_a_directory_that_can_t_be_listed(
    daemon: DaemonFactory, sandbox: Sandbox, name: str
) -> None:
    path = sandbox.data / "instances" if "data" in name else sandbox.storage / name
    daemon(sandbox=sandbox)
    path.write_text("in the way")
    done = Trust(sandbox).run("check")
    assert f"PROBLEM  {path} can't be listed, so instances may be missing: Not a dir" in done.stdout
    assert "Everything is sound" not in done.stdout and done.returncode == 1


def test_check_tells_of_it(sandbox: Sandbox, disk: Path) -> None:
    empty(record(sandbox))
    said = Trust(sandbox).run("check").stdout
    assert f"PROBLEM  foo can't be used: its record {record(sandbox)} can't be read" in said
    assert "next: `multipass recover foo`" in said
