"""The files by which the boot unit knows whether an instance is to be started."""

from pathlib import Path

import pytest

from multipassd.instances.records.running_markers import RunningMarkers


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "running"


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_mark_is_there_from_start_to_end(directory: Path) -> None:
    marks = RunningMarkers(directory)
    marks.add("foo")
    marks.add("foo")
    assert names(directory) == ["foo"]
    marks.drop("foo")
    marks.drop("foo")
    assert names(directory) == []


def test_what_a_killed_daemon_left_goes(directory: Path) -> None:
    marks = RunningMarkers(directory)
    marks.keep_only(set())  # there never was one
    marks.add("foo")
    marks.add("bar")
    marks.keep_only({"bar", "other"})
    assert names(directory) == ["bar"]
