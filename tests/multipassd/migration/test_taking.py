"""What comes along from 1.16, and that nothing of its vault changes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests import smalldisk
from tests.multipassd.migration.conftest import Migrate
from tests.multipassd.migration.old_vault import BIOS_IMAGE, KEY, image


def facts(disk: Path) -> dict[str, object]:
    words = ["qemu-img", "info", "--output=json", str(disk)]
    found: dict[str, object] = json.loads(subprocess.check_output(words))
    return found


def tags(disk: Path) -> list[str]:
    snapshots = facts(disk).get("snapshots", [])
    assert isinstance(snapshots, list)
    return [each["name"] for each in snapshots]


def test_a_vault_is_listed_and_taken_over_without_any_change_of_it(migrate: Migrate) -> None:
    old = migrate.old
    network = {"id": "none0", "mac_address": "52:54:00:aa:bb:cc", "auto_mode": False}
    old.add("foo", num_cores=2, mem_size="1.5G", extra_interfaces=[network], clone_count=3)
    old.snapshot("foo", 1)
    old.snapshot("foo", 2, parent=1, comment="two")
    old.add("gone", deleted=True)
    old.add("xenial", file=BIOS_IMAGE, ssh_username="me")
    old.instances["ghost"] = {"num_cores": 0, "mem_size": "", "metadata": {}}
    old.save()
    before = old.content()

    listed = json.loads(migrate.done("list", "--format", "json"))["instances"]
    assert [each["name"] for each in listed] == ["foo", "gone", "xenial"]
    assert listed[0]["snapshots"] == ["snapshot1", "snapshot2"]
    done = migrate.run("take", "--all")
    assert done.stdout.splitlines() == [
        "foo: taken over.", "gone: taken over.", "xenial: taken over.",
    ]  # fmt: skip
    assert "foo: its card on none0 is left out, as this host has no such network" in done.stderr
    assert old.content() == before

    assert migrate.here() == ["foo", "gone", "xenial"]
    foo = migrate.record("foo")
    assert (foo.cpus, foo.memory, foo.disk) == (2, 3 << 29, 16 << 20)
    assert (foo.mac, foo.clones, foo.instance_id) == ("52:54:00:00:00:10", 3, "foo")
    assert foo.networks == ()
    assert foo.image.id == "" and foo.image.sha256 == "0a" * 32
    assert [(s.name, s.tag, s.parent, s.comment) for s in foo.snapshots] == [
        ("snapshot1", "@s1", 0, ""), ("snapshot2", "@s2", 1, "two"),
    ]  # fmt: skip
    assert (foo.snapshot_head, foo.snapshots_taken) == (2, 2)
    assert foo.snapshots[0].created == 1698672697.123
    assert (foo.host_key, foo.ssh_user, foo.hardware) == ("", "", {"firmware": "uefi"})
    assert migrate.record("gone").deleted
    xenial = migrate.record("xenial")
    assert (xenial.ssh_user, xenial.hardware) == ("me", {"firmware": "bios"})
    key = migrate.data / "ssh-keys" / foo.ssh_key
    assert key.read_bytes() == KEY and stat.S_IMODE(key.stat().st_mode) == 0o600

    place = migrate.machines / "foo"
    assert tags(place / "disk.qcow2") == tags(place / "uefi.qcow2") == ["@s1", "@s2"]
    assert sorted(os.listdir(place)) == ["disk.qcow2", "record.json", "seed.iso", "uefi.qcow2"]
    assert sorted(os.listdir(migrate.machines)) == ["foo", "gone", "xenial"]

    again = migrate.done("take", "--all")
    assert again.splitlines()[0] == "foo: taken over already."
    assert "taken over already" in migrate.done("list")


def test_records_of_older_releases_are_read_with_their_defaults(migrate: Migrate) -> None:
    old = migrate.old
    old.add("foo", num_cores=0, mem_size="", disk_space="", ssh_username="", metadata={"a": 1})
    cache = old.data.parent / "cache"
    cache.mkdir()
    (old.data / "multipassd-vm-instances.json").rename(cache / "multipassd-vm-instances.json")
    migrate.done("take", "foo")
    foo = migrate.record("foo")
    assert (foo.cpus, foo.memory, foo.disk) == (1, 1 << 30, 16 << 20)


def test_a_disk_is_moved_on_request_and_the_rest_of_the_vault_stays(migrate: Migrate) -> None:
    disk = migrate.old.add("foo")
    inode = disk.stat().st_ino
    before = migrate.old.content()
    migrate.done("take", "--move", "foo")
    assert (migrate.machines / "foo/disk.qcow2").stat().st_ino == inode
    del before[str(disk)]
    assert migrate.old.content().keys() == before.keys()
    assert "taken over already" in migrate.done("list")
    assert migrate.done("take", "--all") == "foo: taken over already.\n"


def test_a_name_that_is_taken_here_asks_for_another(migrate: Migrate) -> None:
    migrate.old.add("foo")
    (migrate.machines / "foo").mkdir(parents=True)
    assert "--name foo=NEW gives another" in migrate.refused("take", "foo")
    assert migrate.done("take", "foo", "--name", "foo=bar") == "foo: taken over as bar.\n"
    assert migrate.record("bar").name == "bar"
    assert migrate.done("take", "foo") == "foo: taken over already as bar.\n"


def test_a_suspended_state_is_given_up_on_request_only(migrate: Migrate) -> None:
    old = migrate.old
    disk = old.add("foo", state=7, metadata={"machine_type": "pc-i440fx-noble", "arguments": []})
    image("snapshot", "-c", "suspend", disk)
    assert "it is suspended" in migrate.refused("take", "foo")
    old.instances["foo"]["state"] = 1  # the disk tells it, too
    old.save()
    before = old.content()
    assert "it is suspended" in migrate.refused("take", "--move", "foo")
    assert old.content() == before and migrate.here() == []
    migrate.done("take", "--drop-suspended", "foo")
    assert tags(migrate.machines / "foo/disk.qcow2") == [] and tags(disk) == ["suspend"]


def test_a_mount_comes_along_if_its_user_may_read_the_source(
    migrate: Migrate, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)

    def mount(source: Path, uid: int) -> dict[str, object]:
        return {
            "source_path": str(source),
            "target_path": "Home",
            "uid_mappings": [{"host_uid": uid, "instance_uid": -1}],
            "gid_mappings": [{"host_gid": uid, "instance_gid": -1}],
            "mount_type": 0,
        }

    me = os.geteuid()
    mounts = [mount(secret, me), mount(secret, 65534), mount(Path("/usr"), 12345678)]
    migrate.old.add("foo", mounts=mounts)
    done = migrate.run("take", "foo")
    assert done.returncode == 0 and done.stdout == "foo: taken over.\n"
    told = done.stderr.splitlines()
    assert len(told) == 2 and all("is left out: " in line for line in told), told
    (kept,) = migrate.record("foo").mounts
    assert (kept.source, kept.target, kept.uid) == (str(secret), "Home", me)
    assert [(pair.host, pair.guest) for pair in kept.uids] == [(me, -1)]


def test_a_snapshot_without_content_is_left_out_and_its_children_move_up(migrate: Migrate) -> None:
    old = migrate.old
    old.add("foo")
    old.snapshot("foo", 1)
    old.describe("foo", 2, parent=1)
    old.snapshot("foo", 3, parent=2)
    assert "lacks the content of the snapshot snapshot2" in migrate.run("take", "foo").stderr
    assert [(s.index, s.parent) for s in migrate.record("foo").snapshots] == [(1, 0), (3, 1)]


def test_a_disk_without_room_leaves_nothing_behind(migrate: Migrate) -> None:
    if os.geteuid():
        pytest.skip("needs root, to mount a small disk")
    disk = migrate.old.add("foo")
    image("bench", "-w", "-c", "192", "-s", "65536", "--pattern", "65", "-f", "qcow2", disk)
    before = migrate.old.content()
    with smalldisk.mounted(migrate.machines, "8M"):
        for options in ((), ("--move",)):  # on another file system a move is a copy
            assert "No space left on device" in migrate.refused("take", "foo", *options)
            assert os.listdir(migrate.machines) == [] and migrate.here() == []
    assert migrate.old.content() == before
    migrate.done("take", "foo")
