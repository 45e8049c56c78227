import logging
import os
from pathlib import Path

import pytest

from multipassd.instances.registry import Registry
from protocol.errors import StorageFailed
from tools.records import make


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "instances", tmp_path / "machines")


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


def test_a_place_without_a_record_is_left_over(registry: Registry) -> None:
    registry.make_place("killed")
    registry.make_place("foo")
    registry.put(make("foo"))
    assert registry.leftovers() == ["killed"]
    registry.remove_files("killed")
    assert registry.leftovers() == []


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
    assert again.known() == {"foo"}
    assert "foo.json" in caplog.text and "Its disk is left alone." in caplog.text


def test_a_record_of_a_later_format_is_not_read_as_ours(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    path = tmp_path / "instances" / "foo.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    assert reread(registry, tmp_path).names() == []


def test_a_record_under_another_name_is_not_shown(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    (tmp_path / "instances" / "foo.json").rename(tmp_path / "instances" / "bar.json")
    assert reread(registry, tmp_path).names() == []


def test_what_a_killed_write_left_over_is_removed(registry: Registry, tmp_path: Path) -> None:
    registry.put(make("foo"))
    (tmp_path / "instances" / ".foo.json.0123.tmp").write_text("{")
    assert reread(registry, tmp_path).names() == ["foo"]
    assert os.listdir(tmp_path / "instances") == ["foo.json"]


def test_without_the_directory_of_records_no_disk_is_left_over(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.make_place("foo")
    (tmp_path / "instances").rmdir()
    with caplog.at_level(logging.ERROR, "multipassd"):
        assert reread(registry, tmp_path).leftovers() == []
    assert "is left alone" in caplog.text


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
