"""Damaged and hostile vaults: a clear error for each instance, and the others go on."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.multipassd.migration.conftest import Migrate
from tests.multipassd.migration.old_vault import image

WRITING = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 101, 1, 0)  # of a QEMU


def backing(migrate: Migrate) -> None:
    """A disk that a hostile guest has let stand on a file of the host."""
    disk = migrate.old.disk("bad")
    disk.unlink()
    image("create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", disk, "16M")


def data_file(migrate: Migrate) -> None:
    disk = migrate.old.disk("bad")
    disk.unlink()
    outside = migrate.storage / "outside.raw"
    options = f"data_file={outside},data_file_raw=on"
    image("create", "-q", "-f", "qcow2", "-o", options, disk, "16M")


def raw(migrate: Migrate) -> None:
    migrate.old.disk("bad").write_bytes(bytes(510) + b"\x55\xaa" + bytes(1 << 20))


def cut_off(migrate: Migrate) -> None:
    disk = migrate.old.disk("bad")
    image("bench", "-w", "-c", "64", "-f", "qcow2", disk)
    os.truncate(disk, 1 << 18)


def linked(migrate: Migrate) -> None:
    disk = migrate.old.disk("bad")
    disk.rename(disk.with_name("other"))
    disk.symlink_to("other")


def linked_directory(migrate: Migrate) -> None:
    place = migrate.old.directory("bad")
    place.rename(place.with_name("other"))
    place.symlink_to("other")


def outside(migrate: Migrate) -> None:
    migrate.old.images["bad"]["image"]["path"] = "/etc/shadow"
    migrate.old.save()


def unknown_image(migrate: Migrate) -> None:
    del migrate.old.images["bad"]
    migrate.old.save()


def no_disk(migrate: Migrate) -> None:
    migrate.old.disk("bad").unlink()


def no_seed(migrate: Migrate) -> None:
    (migrate.old.directory("bad") / "cloud-init-config.iso").unlink()


def broken_seed(migrate: Migrate) -> None:
    (migrate.old.directory("bad") / "cloud-init-config.iso").write_bytes(os.urandom(1 << 16))


def writable(migrate: Migrate) -> None:
    migrate.old.disk("bad").chmod(0o666)


def of_another_user(migrate: Migrate) -> None:
    if os.geteuid():
        pytest.skip("needs root")
    os.chown(migrate.old.disk("bad"), 65534, -1)


def wrong_size(migrate: Migrate) -> None:
    migrate.old.instances["bad"]["mem_size"] = "a lot"
    migrate.old.save()


def wrong_mac(migrate: Migrate) -> None:
    migrate.old.instances["bad"]["mac_addr"] = "52:54:00:00:00:00,script=/tmp/x"
    migrate.old.save()


def wrong_network(migrate: Migrate) -> None:
    card = {"id": "../etc", "mac_address": "52:54:00:00:01:01"}
    migrate.old.instances["bad"]["extra_interfaces"] = [card]
    migrate.old.save()


def no_object(migrate: Migrate) -> None:
    migrate.old.instances["bad"] = ["?"]
    migrate.old.save()


def broken_snapshot(migrate: Migrate) -> None:
    migrate.old.snapshot("bad", 1)
    (migrate.old.directory("bad") / "0001.snapshot.json").write_text("{")


def wrong_user(migrate: Migrate) -> None:
    migrate.old.instances["bad"]["ssh_username"] = "-oProxyCommand=x"
    migrate.old.save()


def one_name_twice(migrate: Migrate) -> None:
    migrate.old.snapshot("bad", 1)
    migrate.old.snapshot("bad", 2, name="snapshot1")


def same_address(migrate: Migrate) -> None:
    migrate.old.instances["bad"]["mac_addr"] = migrate.old.instances["afoo"]["mac_addr"]
    migrate.old.save()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (backing, "based on another file"),
        (data_file, "data is in another file"),
        (raw, "it is not qcow2"),
        (cut_off, "is cut off or damaged"),
        (linked, "symbolic link"),
        (linked_directory, "Not a directory"),
        (outside, "its disk is /etc/shadow, which is not in its directory"),
        (unknown_image, "does not know it"),
        (no_disk, "is missing"),
        (no_seed, "its seed"),
        (broken_seed, "is no disk that cloud-init reads"),
        (writable, "other users may write to it"),
        (of_another_user, "belongs to uid 65534 instead of root"),
        (wrong_size, "its mem_size is not valid"),
        (wrong_mac, "its mac_addr is not valid"),
        (wrong_network, "is not valid"),
        (wrong_user, "its ssh_username is not valid"),
        (one_name_twice, "two of its snapshots have one name"),
        (no_object, "its record can't be used"),
        (broken_snapshot, "0001.snapshot.json can't be used"),
        (same_address, "its MAC address is that of afoo, too"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_can_not_be_taken_is_named_and_the_others_go_on(
    migrate: Migrate, spoil: object, why: str
) -> None:
    for name in ("afoo", "bad", "zoo"):
        migrate.old.add(name)
    assert callable(spoil)
    spoil(migrate)
    before = migrate.old.content()
    for options in ((), ("--move",)):
        done = migrate.run("take", "--all", *options)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("multipass-migrate: bad: ") and why in line, line
        migrate.done("list")
    assert migrate.here() == ["afoo", "zoo"]
    assert sorted(os.listdir(migrate.machines)) == ["afoo", "zoo"]
    assert migrate.old.content() == before


def test_a_vault_in_which_others_could_exchange_files_is_not_read(migrate: Migrate) -> None:
    migrate.old.add("foo")
    place = migrate.old.data / "vault/instances"
    place.chmod(0o777)
    assert "can't be believed: other users may write to it" in migrate.refused("take", "foo")
    place.chmod(0o755)
    place.rename(place.with_name("real"))
    place.symlink_to("real")
    assert "can't be believed: it is no directory" in migrate.refused("take", "foo")
    assert migrate.here() == []


def test_names_that_are_none_are_refused(migrate: Migrate) -> None:
    old = migrate.old
    old.add("foo")
    for name in ("../../etc", "1st", "a b", "", "x" * 64):
        old.instances[name] = dict(old.instances["foo"], mac_addr="")
        old.images[name] = old.images["foo"]
    old.save()
    told = migrate.refused("take", "--all").splitlines()
    assert len(told) == 5
    assert migrate.here() == ["foo"]


@pytest.mark.parametrize("file", ["multipassd-vm-instances.json",
                                  "vault/multipassd-instance-image-records.json"])  # fmt: skip
@pytest.mark.parametrize("text", [b"{", b"[]", b"", b"[" * 100_000, b'{"foo": \xff}'])
def test_broken_files_of_all_instances_are_named(migrate: Migrate, file: str, text: bytes) -> None:
    migrate.old.add("foo")
    (migrate.old.data / file).write_bytes(text)
    told = migrate.refused("take", "foo")
    assert f"{migrate.old.data / file} can't be read: " in told


def test_a_disk_that_a_qemu_holds_is_left_alone(migrate: Migrate) -> None:
    disk = migrate.old.add("foo")
    with open(disk, "r+b") as held:
        assert "a QEMU has its disk" in migrate.refused("take", "foo")
        fcntl.fcntl(held, fcntl.F_OFD_SETLK, WRITING)
        assert "a QEMU has its disk" in migrate.refused("take", "--move", "foo")
    assert migrate.here() == []
    migrate.done("take", "foo")


def test_a_daemon_of_1_16_on_the_vault_is_named(migrate: Migrate, tmp_path: Path) -> None:
    migrate.old.add("foo")
    daemon = tmp_path / "multipassd"  # a program of this name that is compiled
    shutil.copy(shutil.which("sleep") or "", daemon)
    storage = str(migrate.old.data.parent)
    for environment, refused in (({"MULTIPASS_STORAGE": "/elsewhere"}, False),
                                 ({"MULTIPASS_STORAGE": storage}, True)):  # fmt: skip
        with subprocess.Popen([str(daemon), "600"], env=environment) as running:
            try:
                told = migrate.run("take", "foo").stderr if refused else migrate.done("list")
                assert (f"Multipass 1.16 runs (process {running.pid})" in told) is refused
            finally:
                running.kill()
    migrate.done("take", "foo")
