from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from multipassd.audit.trail import Audit
from multipassd.auth import installer
from multipassd.auth.installer import InstallerError, enrol_installer
from multipassd.certificates import certificate_checks
from protocol.client_certificate import CERTIFICATE, KEY
from protocol.pem import pem_to_der


class Store:
    def __init__(self) -> None:
        self.added: list[tuple[bytes, str, int | None]] = []

    def add(self, der: bytes, how: str, uid: int | None, name: str = "") -> bool:
        known = any(der == other for other, _, _ in self.added)
        if not known:
            self.added.append((der, how, uid))
        return not known


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pwd.struct_passwd:
    """The own user, with a home in the test's directory."""
    own = pwd.getpwuid(os.geteuid())
    account = pwd.struct_passwd((own.pw_name, "x", own.pw_uid, own.pw_gid, "", str(tmp_path), ""))
    monkeypatch.setattr(installer, "account_of", lambda name: account)
    return account


def directory(user: pwd.struct_passwd) -> Path:
    return Path(user.pw_dir) / ".local/share/multipass-client-certificate"


def test_a_certificate_is_made_and_enrolled(user: pwd.struct_passwd) -> None:
    store = Store()
    environ = {"XDG_DATA_HOME": "/root/elsewhere", "HOME": "/root"}
    assert "is now authenticated" in enrol_installer(user.pw_name, store, environ, Audit())
    certificate = (directory(user) / CERTIFICATE).read_bytes()
    assert store.added == [(pem_to_der(certificate), "installer", user.pw_uid)]
    assert certificate_checks.matches(certificate, (directory(user) / KEY).read_bytes())
    assert (directory(user) / KEY).stat().st_mode & 0o777 == 0o600
    assert directory(user).stat().st_mode & 0o777 == 0o700


def test_one_that_is_there_is_used_and_enrolling_again_changes_nothing(
    user: pwd.struct_passwd,
) -> None:
    store = Store()
    enrol_installer(user.pw_name, store, {}, Audit())
    assert "already" in enrol_installer(user.pw_name, store, {}, Audit())
    assert len(store.added) == 1


def test_the_snap_has_its_own_place(user: pwd.struct_passwd) -> None:
    environ = {"SNAP_NAME": "multipass", "SNAP_REAL_HOME": "/root"}
    enrol_installer(user.pw_name, Store(), environ, Audit())
    assert (Path(user.pw_dir) / "snap/multipass/current/data/multipass-client-certificate").is_dir()


@pytest.mark.parametrize("content", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n" * 9000])
def test_what_is_no_certificate_is_refused(user: pwd.struct_passwd, content: bytes) -> None:
    store = Store()
    directory(user).mkdir(parents=True)
    (directory(user) / CERTIFICATE).write_bytes(content)
    (directory(user) / KEY).write_bytes(b"")
    with pytest.raises(InstallerError, match="was not enrolled"):
        enrol_installer(user.pw_name, store, {}, Audit())
    assert not store.added


def test_a_fifo_in_place_of_the_certificate_does_not_hang(user: pwd.struct_passwd) -> None:
    directory(user).mkdir(parents=True)
    os.mkfifo(directory(user) / CERTIFICATE)
    (directory(user) / KEY).write_bytes(b"")
    with pytest.raises(InstallerError):
        enrol_installer(user.pw_name, Store(), {}, Audit())


def test_a_home_that_can_not_be_written_is_told(user: pwd.struct_passwd) -> None:
    (Path(user.pw_dir) / ".local").write_text("")
    with pytest.raises(InstallerError, match=r"was not enrolled.*directory"):
        enrol_installer(user.pw_name, Store(), {}, Audit())


def test_an_unknown_user_is_told() -> None:
    with pytest.raises(InstallerError, match="no user called"):
        enrol_installer("nobody-of-that-name", Store(), {}, Audit())
