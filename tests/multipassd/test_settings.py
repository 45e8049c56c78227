from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from multipassd.auth import passphrase
from multipassd.settings import settings as module
from multipassd.settings.settings import Settings, SettingsUnusable
from multipassd.system import files
from multipassd.system.files import TICK_SECONDS
from protocol.errors import InvalidSetting, StorageFailed, UnknownSetting
from protocol.settings import PRIVILEGED_MOUNTS
from protocol.status import Status


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "multipassd.conf"


def write(path: Path, text: str | bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)


def test_without_a_file_the_defaults_hold_and_nothing_is_written(path: Path) -> None:
    settings = Settings(path)
    assert {key: settings.get(key) for key in settings.keys()} == {  # noqa: SIM118
        "local.bridged-network": "",
        "local.driver": "qemu",
        "local.first-client": "admin",
        "local.image.mirror": "",
        "local.incus.network": "",
        "local.incus.pool": "",
        "local.incus.project": "multipass",
        "local.incus.shared": "false",
        "local.incus.target": "",
        "local.incus.token": "",
        "local.incus.type": "virtual-machine",
        "local.passphrase": "",
        "local.passphrase-role": "admin",
        "local.privileged-mounts": "true",
        "local.refuse-expired": "false",
        "local.shared-ssh-key": "true",
    }
    assert not settings.problem
    assert not path.parent.exists()


def test_keys_come_in_the_order_that_clients_show(path: Path) -> None:
    keys = Settings(path).keys()
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("key", "given_value", "stored"),
    [
        ("local.driver", "QEMU", "qemu"),
        ("local.image.mirror", "https://mirror.example/images", "https://mirror.example/images/"),
        ("local.image.mirror", "https://mirror.example/", "https://mirror.example/"),
        ("local.image.mirror", "", ""),
        ("local.privileged-mounts", "Off", "false"),
        ("local.privileged-mounts", "NO", "false"),
        ("local.privileged-mounts", "YES", "true"),
        ("local.bridged-network", "any text = at all; even [this]\n", None),
    ],
)
def test_a_valid_value_is_normalised_and_kept(
    path: Path, key: str, given_value: str, stored: str | None
) -> None:
    Settings(path).set(key, given_value)
    assert Settings(path).get(key) == (given_value if stored is None else stored)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("local.driver", "hyper-v", "Invalid driver"),
        ("local.driver", "", "Invalid driver"),
        ("local.driver", "{x}", "Invalid driver"),
        ("local.driver", "LXD", "Only qemu can be used; there is no driver for lxd here"),
        (
            "local.image.mirror",
            "http://x",
            "The hostname of mirror must contain protocol name: https",
        ),
        ("local.privileged-mounts", "maybe", 'Invalid value, try "true" or "false"'),
        ("local.privileged-mounts", "", 'Invalid value, try "true" or "false"'),
    ],
)
def test_an_invalid_value_is_refused_with_the_known_words(
    path: Path, key: str, value: str, why: str
) -> None:
    settings = Settings(path)
    with pytest.raises(InvalidSetting) as caught:
        settings.set(key, value)
    assert caught.value.message == f"Invalid setting '{key}={value}': {why}"
    assert not path.exists()


@pytest.mark.parametrize("value", ["https://\x1b]0;owned\x07/", "https://x/\r", "https://\u202e/"])
@pytest.mark.parametrize("key", ["local.bridged-network", "local.image.mirror"])
def test_no_value_writes_to_the_terminal_that_shows_it(path: Path, key: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match="characters that can't be shown"):
        Settings(path).set(key, value)
    assert not path.exists()


@pytest.mark.parametrize("key", ["local.x", "client.primary-name", "", "driver", "local.driver "])
def test_an_unknown_key_is_refused(path: Path, key: str) -> None:
    settings = Settings(path)
    for call in (lambda: settings.get(key), lambda: settings.set(key, "x")):
        with pytest.raises(UnknownSetting) as caught:
            call()
        assert caught.value.message == f"Unrecognized settings key: '{key}'"


def test_a_value_beyond_the_limit_is_refused_without_repeating_it(path: Path) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Settings(path).set("local.bridged-network", "x" * 100_000)
    assert len(caught.value.message) < 200


def test_of_the_passphrase_only_whether_it_is_set_is_told(path: Path) -> None:
    settings = Settings(path)
    record = passphrase.make("secret words")
    settings.set("local.passphrase", record)
    assert settings.get("local.passphrase") == "true"
    assert settings.passphrase_record() == record
    assert "secret" not in path.read_text()
    assert record not in repr(settings._values)
    settings.set("local.passphrase", "")
    assert settings.get("local.passphrase") == ""
    assert settings.passphrase_record() == ""


def test_a_plain_passphrase_is_hashed_before_it_is_stored(path: Path) -> None:
    settings = Settings(path)
    settings.set("local.passphrase", "secret words")
    assert "secret" not in path.read_text()
    assert passphrase.verify("secret words", settings.passphrase_record())


def test_the_passphrase_of_an_existing_installation_goes_on_working(path: Path) -> None:
    old = hashlib.scrypt(b"passphrase", salt=b"", n=16384, r=8, p=1, dklen=64).hex()
    write(path, f"[General]\nlocal.passphrase={old}\n", 0o644)
    settings = Settings(path)
    assert settings.get("local.passphrase") == "true"
    assert passphrase.verify("passphrase", settings.passphrase_record())


def test_a_change_keeps_all_other_lines_and_closes_the_file(path: Path) -> None:
    text = "# mine\n[General]\nlocal.Unknown=Kept\nlocal.bridged-network=eth0\n\n[Other]\nx=1\n"
    write(path, text, 0o644)
    Settings(path).set("local.bridged-network", "eth1")
    assert path.read_text() == text.replace("eth0", "eth1")
    assert path.stat().st_mode & 0o777 == 0o600


def test_directories_are_made_private(path: Path) -> None:
    Settings(path).set("local.bridged-network", "eth1")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_edit_by_hand_counts_without_a_restart(path: Path) -> None:
    settings = Settings(path)
    write(path, "[General]\nlocal.bridged-network=eth1\n")
    assert settings.get("local.bridged-network") == "eth1"
    path.unlink()
    assert settings.get("local.bridged-network") == ""


def test_an_edit_by_hand_is_not_lost_by_the_next_change(path: Path) -> None:
    settings = Settings(path)
    write(path, "[General]\nlocal.bridged-network=eth1\n")
    settings.set("local.privileged-mounts", "off")
    assert Settings(path).get("local.bridged-network") == "eth1"


def test_a_second_edit_within_a_tick_of_the_kernel_s_clock_counts_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, "[General]\nlocal.bridged-network=eth1\n")
    stamp = files.stamp(path)
    assert stamp is not None
    changed = stamp[-1] / 1e9
    monkeypatch.setattr(module, "stamp", lambda _: stamp)  # as if it were the tick's
    monkeypatch.setattr(time, "time", lambda: changed)
    settings = Settings(path)
    write(path, "[General]\nlocal.bridged-network=eth2\n")
    assert settings.get("local.bridged-network") == "eth2"
    write(path, "[General]\nlocal.bridged-network=eth3\n")
    monkeypatch.setattr(time, "time", lambda: changed + 2 * TICK_SECONDS)
    assert settings.get("local.bridged-network") == "eth3"
    monkeypatch.setattr(module, "read_trusted", None)  # from now on a stat is enough
    assert settings.get("local.bridged-network") == "eth3"


def test_who_asks_while_the_file_is_read_gets_what_held_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`set` reads it in a worker thread; a passphrase typed at that moment is no wrong one."""
    write(path, f"[General]\nlocal.passphrase={RECORD}\n")
    settings = Settings(path)
    read, seen = files.read_trusted, list[str]()

    def interrupted(path: Path, owner: int) -> str:
        seen.append(settings.passphrase_record())
        return read(path, owner)

    monkeypatch.setattr(module, "read_trusted", interrupted)
    settings.set("local.bridged-network", "eth1")
    assert seen and set(seen) == {RECORD}


def test_one_invalid_value_in_the_file_costs_only_that_value(path: Path) -> None:
    write(path, "[General]\nlocal.driver=nonsense\nlocal.privileged-mounts=off\n")
    settings = Settings(path)
    assert settings.get("local.driver") == "qemu"
    assert settings.get("local.privileged-mounts") == "false"
    assert not settings.problem
    assert "local.driver" in settings.warnings[0]


def test_what_1_16_could_do_and_this_service_can_not_is_said_and_kept_in_the_file(
    path: Path,
) -> None:
    text = "[General]\nlocal.driver=lxd\n"
    write(path, text)
    settings = Settings(path)
    assert settings.get("local.driver") == "qemu"
    assert len(settings.warnings) == 1
    settings.set("local.bridged-network", "eth1")
    assert path.read_text() == text + "local.bridged-network=eth1\n"


def test_a_passphrase_record_of_no_known_kind_counts_as_not_set_and_is_not_shown(
    path: Path,
) -> None:
    write(path, "[General]\nlocal.passphrase=plain words\n")
    settings = Settings(path)
    assert settings.passphrase_record() == ""
    assert "local.passphrase" in settings.warnings[0]
    assert "plain words" not in settings.warnings[0]
    settings.require("local.driver")
    with pytest.raises(SettingsUnusable, match="not a passphrase's record.*Set it again") as caught:
        settings.require("local.passphrase")
    assert "plain words" not in caught.value.message
    settings.set("local.passphrase", "another")
    settings.require("local.passphrase")


RECORD = "f2" * 64


def make_garbage(path: Path) -> None:
    write(path, b"[General]\nlocal.passphrase=" + RECORD.encode() + b"\n\xff\xfe\n")


def make_binary(path: Path) -> None:
    write(path, f"[General]\nlocal.passphrase={RECORD}\n\0\n")


def make_loose(path: Path) -> None:
    write(path, f"[General]\nlocal.passphrase={RECORD}\n", 0o666)


def make_link(path: Path) -> None:
    target = path.with_name("target")
    write(target, f"[General]\nlocal.passphrase={RECORD}\n")
    path.symlink_to(target)


def make_directory(path: Path) -> None:
    path.mkdir(parents=True)


def make_fifo(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)


def make_huge(path: Path) -> None:
    write(path, f"[General]\nlocal.passphrase={RECORD}\n" + "#" * files.MAX_FILE)


def make_foreign(path: Path) -> None:
    write(path, f"[General]\nlocal.passphrase={RECORD}\n")
    os.chown(path, 12345, 12345)


@pytest.mark.parametrize(
    "make",
    [
        make_garbage,
        make_binary,
        make_loose,
        make_link,
        make_directory,
        make_fifo,
        make_huge,
        pytest.param(make_foreign, marks=pytest.mark.root),
    ],
)
def test_a_file_not_to_rely_on_is_reported_ignored_and_left_alone(
    path: Path, make: Callable[[Path], None]
) -> None:
    make(path)
    before = path.lstat()
    settings = Settings(path)
    assert str(path) in settings.problem
    assert settings.passphrase_record() == ""
    assert settings.get("local.driver") == "qemu"
    with pytest.raises(SettingsUnusable) as caught:
        settings.set("local.bridged-network", "eth1")
    assert caught.value.status is Status.FAILED_PRECONDITION
    assert settings.problem in caught.value.message
    for key in settings.keys():  # noqa: SIM118
        with pytest.raises(SettingsUnusable) as unusable:
            settings.require(key)
        assert unusable.value.message == settings.problem
    assert RECORD not in caught.value.message
    assert _unread(path.lstat()) == _unread(before)


def _unread(status: os.stat_result) -> tuple[int, ...]:
    """All that reading a file leaves as it is."""
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def test_mending_the_file_is_enough(path: Path) -> None:
    make_loose(path)
    settings = Settings(path)
    path.chmod(0o600)
    settings.refresh()
    assert not settings.problem
    assert settings.passphrase_record() == RECORD


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_leaves_the_old_value_and_a_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    settings = Settings(path)
    settings.set("local.bridged-network", "eth1")
    monkeypatch.setattr(module, "write_atomically", refuse)
    with pytest.raises(StorageFailed, match=os.strerror(number)):
        settings.set("local.bridged-network", "eth2")
    assert settings.get("local.bridged-network") == "eth1"
    assert Settings(path).get("local.bridged-network") == "eth1"


def test_a_file_in_place_of_the_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("")
    settings = Settings(tmp_path / "config" / "multipassd.conf")
    with pytest.raises((StorageFailed, SettingsUnusable)):
        settings.set("local.bridged-network", "eth1")


@hypothesis_settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=100))
def test_no_content_of_the_file_is_a_crash(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "multipassd.conf"
    write(path, b"[General]\n" + data)
    settings = Settings(path)
    for key in settings.keys():  # noqa: SIM118
        settings.get(key).encode()
    if not settings.problem:
        settings.set("local.bridged-network", "eth1")
        assert Settings(path).get("local.bridged-network") == "eth1"


def test_lines_that_say_nothing_are_told_by_number_without_their_content(tmp_path: Path) -> None:
    path = tmp_path / "multipassd.conf"
    write(path, b"; a comment\ntorn\n[General]\nlocal.driver=qemu\nmy secret\n\n[images]\n#x\n")
    settings = Settings(path)
    assert [each.partition(" of ")[0] for each in settings.warnings] == ["line 2", "line 5"]
    assert "secret" not in "".join(settings.warnings)
    assert settings.get("local.driver") == "qemu"


def test_in_the_snap_mounts_are_off_until_an_administrator_says_otherwise(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("SNAP", "/snap/multipass/7"), ("SNAP_NAME", "multipass")):
        monkeypatch.setenv(name, value)
    settings = Settings(path)
    assert settings.get(PRIVILEGED_MOUNTS) == "false"
    settings.set(PRIVILEGED_MOUNTS, "on")
    assert settings.get(PRIVILEGED_MOUNTS) == "true"


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("", False),
        ("[General]\nlocal.refuse-expired=false\n", False),
        ("[General]\nlocal.refuse-expired=true\n", True),
        ("[General]\nlocal.refuse-expired=perhaps\n", True),
    ],
)
def test_expired_certificates_are_refused_where_that_was_asked_for_or_is_in_doubt(
    path: Path, text: str, refuses: bool
) -> None:
    write(path, text)
    assert Settings(path).refuses_expired() is refuses
    path.chmod(0o666)  # not one to rely on
    assert Settings(path).refuses_expired()


def test_a_file_that_does_not_tell_permits_no_shared_key(path: Path) -> None:
    assert Settings(path).shared_ssh_key() is True
    write(path, "[General]\nlocal.shared-ssh-key=off\n")
    assert Settings(path).shared_ssh_key() is False
    write(path, "[General]\nlocal.shared-ssh-key=perhaps\n")
    assert Settings(path).shared_ssh_key() is None
    write(path, "[General]\n\0")
    assert Settings(path).shared_ssh_key() is None
