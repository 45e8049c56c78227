"""Which instances there are, by their records, and what is never removed."""

import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from multipassd.instances.records.registry import Registry
from protocol.errors import StorageFailed
from tests import smalldisk
from tools.records import make


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "instances", tmp_path / "machines")


def launch(registry: Registry, name: str) -> Path:
    """As far as its files go; its disk."""
    registry.make_place(name)
    disk = registry.place(name) / "disk.qcow2"
    disk.write_text("a user's")
    registry.put(make(name))
    return disk


def reread(registry: Registry, tmp_path: Path) -> Registry:
    again = Registry(tmp_path / "instances", tmp_path / "machines")
    again.load()
    return again


def test_what_was_put_is_there_after_a_restart(registry: Registry, tmp_path: Path) -> None:
    record = make("foo", ssh_port=2222, stop_at=1.5)
    registry.put(record)
    assert reread(registry, tmp_path).all() == [record]
    assert (tmp_path / "instances").stat().st_mode & 0o777 == 0o700


def test_a_removed_one_is_not(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    registry.remove("foo")
    registry.remove("foo")
    assert reread(registry, tmp_path).names() == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"name": "foo"}', b"\xff\xfe", b'{"format": 2}'],
    ids=["empty", "torn", "no object", "incomplete", "no text", "of a later release"],
)
def test_an_unreadable_record_is_told_and_its_disk_left_alone(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    registry.make_place("foo")
    (tmp_path / "instances" / "foo.json").write_bytes(content)
    with caplog.at_level(logging.ERROR, "multipassd"):
        again = reread(registry, tmp_path)
    assert again.names() == again.leftovers() == []
    assert again.damaged.keys() == {"foo"} and not again.whole
    assert "foo.json" in caplog.text and "is left alone" in caplog.text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b'{"name": "foo', "it is cut off or not JSON"),
        (bytes(100), "it is cut off or not JSON"),
        (b"\xff\xfe", "it is cut off or not JSON"),
        (b"[]", "it holds no JSON object"),
        (b'{"name": "foo"}', "it lacks instance_id"),
        (
            make("foo").to_json().decode().replace('"cpus":1', '"cpus":0').encode(),
            "its cpus is not",
        ),
        (make("foo").to_json().decode().replace("{", '{"a":1,', 1).encode(), "it has a, which is"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_in_words(
    registry: Registry, tmp_path: Path, content: bytes, why: str
) -> None:
    registry.make_place("foo")
    path = tmp_path / "instances" / "foo.json"
    path.write_bytes(content)
    said = reread(registry, tmp_path).damaged["foo"].why
    assert said.startswith(f"its record {path} can't be read: {why}")


def test_a_record_that_is_a_symbolic_link_is_called_one(registry: Registry, tmp_path: Path) -> None:
    launch(registry, "foo")
    path = tmp_path / "instances" / "foo.json"
    path.rename(tmp_path / "kept")
    path.symlink_to(tmp_path / "kept")
    why = reread(registry, tmp_path).damaged["foo"].why
    assert why == f"its record {path} can't be read: it is a symbolic link"


def test_a_record_of_a_later_format_is_not_read_as_ours_nor_moved_aside(
    registry: Registry, tmp_path: Path
) -> None:
    launch(registry, "foo")
    path = tmp_path / "instances" / "foo.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    damaged = reread(registry, tmp_path).damaged["foo"]
    assert damaged.copy is None and "a later release wrote it" in damaged.trouble


def test_a_record_under_another_name_is_damage(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    (tmp_path / "instances" / "foo.json").rename(tmp_path / "instances" / "bar.json")
    again = reread(registry, tmp_path)
    assert again.names() == [] and again.damaged.keys() == {"bar"}


def test_what_a_killed_write_left_over_is_removed(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    (tmp_path / "instances" / ".foo.json.0123.tmp").write_text("{")
    (tmp_path / "instances" / ".kept").write_text("an administrator's")
    assert reread(registry, tmp_path).names() == ["foo"]
    assert sorted(os.listdir(tmp_path / "instances")) == [".kept", "foo.json"]


def test_no_instance_ever_is_no_reason_for_a_word(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert reread(registry, tmp_path).leftovers() == []
    assert caplog.text == ""


def test_a_record_that_can_t_be_written_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "instances").write_text("in the way")
    with pytest.raises(StorageFailed, match="The record of foo can't be written"):
        registry.put(make("foo"))
    assert registry.names() == []


def start_over(registry: Registry, tmp_path: Path) -> Registry:
    """As a daemon does at its start."""
    again = reread(registry, tmp_path)
    for name in again.leftovers():
        again.remove_files(name)
    again.reconcile()
    return again


def lose_one(records: Path) -> None:
    (records / "foo.json").unlink()


def lose_all(records: Path) -> None:
    shutil.rmtree(records)


def lose_each(records: Path) -> None:
    for path in records.iterdir():
        path.unlink()


def lose_sight(records: Path) -> None:
    shutil.rmtree(records)
    records.write_text("no directory")


@pytest.mark.parametrize("lose", [lose_one, lose_all, lose_each, lose_sight])
def test_no_disk_of_an_instance_goes_with_its_record(
    registry: Registry, tmp_path: Path, lose: Callable[[Path], None]
) -> None:
    disk = launch(registry, "foo")
    lose(tmp_path / "instances")
    again = start_over(registry, tmp_path)
    assert disk.read_text() == "a user's"
    copy = again.damaged["foo"].copy
    assert copy is not None and copy == make("foo", created=copy.created)
    assert again.has_traces_of("foo") and not again.whole
    assert again.images() == (None if lose is lose_sight else {"0" * 64})


@pytest.mark.parametrize("moved", [("instances", "machines"), ("instances",), ("machines",)])
def test_no_disk_goes_with_a_storage_that_was_moved(tmp_path: Path, moved: tuple[str, ...]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    launch(Registry(before / "instances", before / "machines"), "foo")
    after.mkdir()
    for name in moved:
        (before / name).rename(after / name)
    again = Registry(after / "instances", after / "machines")
    again.load()
    for name in again.leftovers():
        again.remove_files(name)
    again.reconcile()
    assert {*again.names(), *again.damaged} == {"foo"}
    assert len(list(tmp_path.rglob("disk.qcow2"))) == 1


def test_no_disk_of_an_earlier_release_goes_with_its_record(
    registry: Registry, tmp_path: Path
) -> None:
    """They have no marks and no copies."""
    (registry.place("foo")).mkdir(parents=True)
    (registry.place("foo") / "disk.qcow2").touch()
    registry.put(make("bar"))
    again = start_over(registry, tmp_path)
    assert again.damaged["foo"].copy is None and again.images() is None
    assert (registry.place("foo") / "disk.qcow2").exists()


def test_an_instance_of_an_earlier_release_gets_its_copy_at_the_start(
    registry: Registry, tmp_path: Path
) -> None:
    registry.put(make("foo"))
    registry.place("foo").mkdir(parents=True)
    start_over(registry, tmp_path)
    (tmp_path / "instances" / "foo.json").write_bytes(b"")
    assert reread(registry, tmp_path).damaged["foo"].copy is not None


def test_what_a_killed_launch_left_is_removed_and_nothing_else(
    registry: Registry, tmp_path: Path
) -> None:
    registry.make_place("killed")
    (registry.place("killed") / "disk.qcow2").touch()
    launch(registry, "foo")
    assert start_over(registry, tmp_path).names() == ["foo"]
    assert os.listdir(tmp_path / "machines") == ["foo"]


def test_a_launch_that_fails_removes_what_it_made_itself(registry: Registry) -> None:
    disk = launch(registry, "foo")
    with pytest.raises(FileExistsError):
        registry.make_place("foo")
    token = registry.make_place("bar")
    shutil.rmtree(registry.place("bar"))
    registry.make_place("bar")
    registry.unmake_place("bar", token)
    registry.unmake_place("foo", token)
    assert disk.exists() and registry.place("bar").exists()


def test_a_purge_that_was_cut_short_is_completed(registry: Registry, tmp_path: Path) -> None:
    launch(registry, "foo")
    registry.give_up("foo")
    registry.remove("foo")
    assert start_over(registry, tmp_path).damaged == {}
    assert os.listdir(tmp_path / "machines") == []


def test_a_purge_that_did_not_get_as_far_as_the_record_changes_nothing(
    registry: Registry, tmp_path: Path
) -> None:
    disk = launch(registry, "foo")
    registry.give_up("foo")
    start_over(registry, tmp_path)
    lose_one(tmp_path / "instances")
    assert start_over(registry, tmp_path).damaged.keys() == {"foo"}
    assert disk.exists()


@pytest.mark.root
def test_a_purge_needs_no_room(tmp_path: Path) -> None:
    with smalldisk.mounted(tmp_path / "full", "1m,nr_inodes=20") as full:
        known = Registry(full / "instances", full / "machines")
        launch(known, "foo")
        with suppress(OSError):
            for number in range(20):
                (full / f"filler{number}").touch()
        with pytest.raises(OSError, match="No space left"):
            (full / "one-more").touch()
        known.give_up("foo")
        known.remove("foo")
        known.remove_files("foo")
        assert os.listdir(full / "machines") == os.listdir(full / "instances") == []


def test_no_files_go_that_were_not_given_up(registry: Registry) -> None:
    disk = launch(registry, "foo")
    registry.remove_files("foo")
    assert disk.exists()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_copy_that_others_may_have_written_is_not_believed(
    registry: Registry, tmp_path: Path, mode: int
) -> None:
    launch(registry, "foo")
    (registry.place("foo") / "record.json").chmod(mode)
    lose_one(tmp_path / "instances")
    assert reread(registry, tmp_path).damaged["foo"].copy is None


def test_the_copy_of_an_instance_whose_directory_is_on_another_disk_counts(
    registry: Registry, tmp_path: Path
) -> None:
    launch(registry, "foo")
    registry.place("foo").rename(tmp_path / "elsewhere")
    registry.place("foo").symlink_to(tmp_path / "elsewhere")
    lose_one(tmp_path / "instances")
    assert reread(registry, tmp_path).damaged["foo"].copy is not None


def test_a_rebuilt_record_is_the_copy_and_the_unreadable_one_is_kept_aside(
    registry: Registry, tmp_path: Path
) -> None:
    launch(registry, "foo")
    (tmp_path / "instances" / "foo.json").write_text("{")
    again = reread(registry, tmp_path)
    damaged = again.damaged["foo"]
    assert damaged.copy is not None
    again.rebuild(damaged, damaged.copy)
    assert reread(registry, tmp_path).all() == [damaged.copy]
    assert (tmp_path / "instances" / "foo.json.damaged").read_text() == "{"
    again.remove("foo")
    assert os.listdir(tmp_path / "instances") == []


def test_no_image_is_known_to_be_unused_while_the_places_can_t_be_listed(
    registry: Registry, tmp_path: Path
) -> None:
    launch(registry, "foo")
    shutil.rmtree(tmp_path / "machines")
    (tmp_path / "machines").write_text("no directory")
    again = reread(registry, tmp_path)
    assert again.images() is None and not again.whole and again.names() == ["foo"]


def test_a_foreign_directory_among_the_machines_is_no_instance(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "machines" / "lost+found").mkdir(parents=True)
    launch(registry, "foo")
    assert start_over(registry, tmp_path).damaged == {}
    assert (tmp_path / "machines" / "lost+found").exists()
