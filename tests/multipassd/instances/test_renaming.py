"""`set local.NAME.name=NEW`: the record, the directory and the network have the new name."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from multipassd.instances.records import renaming
from multipassd.instances.records.registry import Registry
from protocol.errors import StorageFailed
from tests.conftest import DaemonFactory
from tests.multipassd.instances.test_settings import change, get, service  # noqa: F401
from tools import records
from tools.daemon import Daemon
from tools.sandbox import Sandbox

NO_NAME = "A name has letters, digits and inner hyphens, a letter first, and at most 63 characters"


def reason(name: str, why: str) -> str:
    return f"Cannot update instance settings; instance: {name}; reason: {why}"


def test_an_instance_has_its_new_name_everywhere(daemon: DaemonFactory, sandbox: Sandbox) -> None:
    records.put(sandbox, records.make("foo", 1))
    (sandbox.storage / "machines/foo/uefi.qcow2").write_bytes(b"kept")
    running = daemon(sandbox=sandbox)
    assert change(running, "local.foo.name=bar") == ""
    assert get(running, "local.bar.name") == "bar"
    assert "bar" in running.cli("alice", "list").stdout
    assert change(running, "local.bar.cpus=1") == ""
    for path in ("data/instances/foo.json", "machines/foo"):
        assert not (sandbox.storage / path).exists()
    assert (sandbox.storage / "machines/bar/uefi.qcow2").read_bytes() == b"kept"
    assert change(running, "local.bar.name=foo") == ""  # the old name is free
    running.stop()
    again = daemon(sandbox=sandbox)
    assert get(again, "local.foo.name") == "foo"


def test_what_can_not_be_renamed_is_named(service: Daemon) -> None:  # noqa: F811
    for wrong in ("", "1st", "a_b", "a.b", "-x", "x" * 64):
        told = change(service, f"local.foo.name={wrong}")
        assert told == f"Invalid setting 'local.foo.name={wrong}': {NO_NAME}"
    assert change(service, "local.foo.name=gone").startswith(
        reason("foo", 'instance "gone" already exists')
    )
    assert change(service, "local.foo.name=foo") == ""
    assert change(service, "local.gone.name=new") == reason("gone", "Instance is deleted")
    assert change(service, "local.none.name=new") == reason("none", "No such instance")
    stopped = "Instance must be stopped for modification"
    assert change(service, "local.idle.name=new") == reason("idle", stopped)
    assert "local.foo.name" not in service.cli("alice", "get", "--keys").stdout


@pytest.fixture
def registry(sandbox: Sandbox) -> Registry:
    records.put(sandbox, records.make("foo", 1))
    return opened(sandbox)


def opened(sandbox: Sandbox) -> Registry:
    registry = Registry(sandbox.data / "instances", sandbox.storage / "machines")
    registry.load()
    return registry


@pytest.mark.parametrize("stage", ["directory", "old record", "mark"])
def test_after_a_kill_at_any_stage_it_has_the_new_name(
    sandbox: Sandbox, registry: Registry, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def killed(name: str, at: str) -> None:
        if at == stage:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(renaming, "_stage", killed)
        renaming.rename(registry, registry.get("foo"), "bar")
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    seen = Registry(sandbox.data / "instances", sandbox.storage / "machines")
    seen.read()  # as `check` does, which changes nothing
    assert (seen.names(), seen.damaged) == (["bar"], {})
    for _ in range(2):
        again = opened(sandbox)
        assert (again.names(), again.damaged) == (["bar"], {})
        assert again.get("bar").renamed_from == ""
    assert os.listdir(sandbox.storage / "machines") == ["bar"]
    assert os.listdir(sandbox.data / "instances") == ["bar.json"]


def test_a_disk_that_refuses_leaves_it_as_it_was(
    sandbox: Sandbox, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(old: Path, new: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(renaming, "_rename_directory", full)
    with pytest.raises(StorageFailed, match="No space left on device. Nothing was changed"):
        renaming.rename(registry, registry.get("foo"), "bar")
    assert registry.names() == opened(sandbox).names() == ["foo"]


def test_a_later_instance_of_the_old_name_is_not_taken_for_it(
    sandbox: Sandbox, registry: Registry
) -> None:
    renamed = renaming.rename(registry, registry.get("foo"), "bar")
    records.put(sandbox, records.make("foo", 2))
    registry.put(renamed.replace(renamed_from="foo"))  # as if it had been left over
    assert opened(sandbox).names() == ["bar", "foo"]
    assert sorted(os.listdir(sandbox.storage / "machines")) == ["bar", "foo"]
