"""The client's own settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client import files, settings
from client.errors import SettingsFileError, UsageError
from client.settings import PRIMARY_NAME


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "deep" / "multipass.conf")


def test_without_a_file_the_default_counts(file: str) -> None:
    assert settings.read(file, PRIMARY_NAME) == "primary"


def test_what_is_set_is_read_and_written_as_multipass_writes_it(file: str) -> None:
    settings.write(file, PRIMARY_NAME, "home")
    assert settings.read(file, PRIMARY_NAME) == "home"
    assert Path(file).read_text() == "[General]\nclient.primary-name=home\n"


def test_the_empty_name_switches_the_feature_off(file: str) -> None:
    settings.write(file, PRIMARY_NAME, "")
    assert settings.read(file, PRIMARY_NAME) == ""


def test_what_else_is_in_the_file_survives(file: str) -> None:
    path = Path(file)
    path.parent.mkdir()
    path.write_bytes(b"# \xff\n[General]\nclient.gui.hotkey=x\n\n[Other]\nKey=v\n")
    settings.write(file, PRIMARY_NAME, "home")
    assert path.read_bytes() == (
        b"# \xff\n[General]\nclient.gui.hotkey=x\nclient.primary-name=home\n\n[Other]\nKey=v\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        "1nvalid-name",
        "invalid.name",
        "invalid$name",
        "invalid-name-",
        "foo_bar",
        "-",
        "é",
        "a" * 64,
    ],
)
def test_names_that_are_no_host_names_are_refused(file: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"^Invalid setting '{PRIMARY_NAME}="):
        settings.write(file, PRIMARY_NAME, name)
    assert not Path(file).exists()


@pytest.mark.parametrize("name", ["a", "A1", "a-b", "primary", "a--b", "a" * 63])
def test_host_names_are_accepted(name: str) -> None:
    assert settings.is_hostname(name)


def test_unknown_keys_are_refused(file: str) -> None:
    with pytest.raises(UsageError, match=r"^Unrecognized settings key: 'client.x'$"):
        settings.read(file, "client.x")
    with pytest.raises(UsageError, match=r"^Unrecognized settings key: 'client.x'$"):
        settings.write(file, "client.x", "1")


def test_a_place_that_is_no_file_is_an_error_and_no_reason_not_to_list(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match=r"^Unable to read settings: ") as caught:
        settings.read(str(tmp_path), PRIMARY_NAME)
    assert caught.value.sentence == f"Unable to read settings: Is a directory ({tmp_path})"
    assert settings.primary_name(str(tmp_path)) == "primary"
    (tmp_path / "file").touch()
    with pytest.raises(SettingsFileError, match=r"^Unable to read/write settings: "):
        settings.write(str(tmp_path / "file" / "multipass.conf"), PRIMARY_NAME, "x")


def test_a_file_far_too_large_is_left_alone(file: str) -> None:
    path = Path(file)
    path.parent.mkdir()
    path.write_bytes(b"#" * (files.MAX_FILE + 1))
    with pytest.raises(SettingsFileError):
        settings.write(file, PRIMARY_NAME, "x")
    assert path.stat().st_size == files.MAX_FILE + 1


def test_writers_at_the_same_time_leave_a_whole_file(file: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: settings.write(file, PRIMARY_NAME, f"n{n}"), range(20)))
    assert Path(file).read_text().startswith("[General]\nclient.primary-name=n")
    assert [path.name for path in Path(file).parent.iterdir()] == ["multipass.conf"]
