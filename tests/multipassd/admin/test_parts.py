"""What takes a stand-in: the journal, other users' homes, the environment, a stranger's socket."""

from __future__ import annotations

import logging
import os
import pwd
import socket
import threading
from pathlib import Path

import pytest

from multipassd.admin.access import locations, user
from multipassd.admin.add import Candidate, enrol
from multipassd.admin.findings import lockout, probe
from multipassd.admin.findings.report import Report
from multipassd.audit.event import Event
from multipassd.system import installation
from multipassd.trust.store import TrustStore
from protocol import places
from protocol.pem import pem_to_der
from tests.multipassd.admin.trust import client
from tools.sandbox import Sandbox


def test_each_grant_is_one_record_for_the_journal_with_who_gave_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("multipassd"), "propagate", True)
    caplog.set_level(logging.INFO, "multipassd.audit")
    here = locations.find(sandbox.daemon_env(), sandbox.data, None)
    pair, who = client()
    candidates = [Candidate(pem_to_der(pair.certificate), "alice")] * 2
    enrol(here, here.store(change=True), candidates, "multipass-trust", dry_run=False)
    (record,) = [each for each in caplog.records if each.name == "multipassd.audit"]
    assert vars(record)["message_id"] == Event.GRANTED.value
    fields = vars(record)["fields"]
    assert fields["MULTIPASS_CLIENT"] == who
    assert fields["MULTIPASS_UID"] == str(locations.invoker())


def test_behind_sudo_it_is_the_human_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert locations.invoker() == 1000
    monkeypatch.setenv("SUDO_UID", "rubbish")
    monkeypatch.delenv("PKEXEC_UID", raising=False)
    assert locations.invoker() == os.getuid()


def test_the_package_is_found_where_its_directory_is_and_only_when_nothing_else_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(places, "STATE_DIRECTORY", str(tmp_path))
    found = locations.find({"HOME": "/home/alice"}, None, None)
    assert found.store_path == tmp_path / "data" / places.TRUST_STORE
    assert found.settings == Path("/etc/multipassd/multipassd.conf")
    assert found.root_certificate == tmp_path / places.ROOT_CERTIFICATE
    assert found.socket == Path("/run/multipass_socket")
    elsewhere = locations.find({"MULTIPASS_STORAGE": "/x"}, None, None)
    assert elsewhere.data == Path("/x/data")
    assert elsewhere.socket is None, "the standard socket is another installation's"
    snap = {"SNAP_NAME": "multipass", "SNAP_COMMON": "/common"}
    assert locations.find(snap, None, None).data == Path("/common/data/multipassd")


def test_the_package_s_own_program_finds_and_makes_its_directory_before_the_first_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = tmp_path / "state"
    monkeypatch.setattr(places, "STATE_DIRECTORY", str(directory))
    assert locations.find({"HOME": "/home/alice"}, None, None).data.parent != directory
    monkeypatch.setattr(locations, "DEB_TREE", installation.TREE)
    found = locations.find({"HOME": "/home/alice"}, None, None)
    assert found.data == directory / "data"
    before = os.umask(0o077)
    try:
        found.store(change=True)
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o755  # clients read the root certificate there
    assert found.data.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pwd.struct_passwd:
    own = pwd.getpwuid(os.geteuid())
    made = pwd.struct_passwd(("alice", "x", own.pw_uid, own.pw_gid, "", str(tmp_path), ""))
    monkeypatch.setattr(lockout, "_administrators", lambda: iter([made]))
    return made


def test_an_administrator_with_an_untrusted_client_and_no_passphrase_is_locked_out(
    account: pwd.struct_passwd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = TrustStore(tmp_path / "store")
    store.load()
    report = Report()
    lockout.look(store, False, report)
    assert not report.problems, "who has no client yet is not locked out"

    pair, _ = client()
    directory = user.directories(account)["deb"]
    directory.mkdir(parents=True)
    (directory / "multipass_cert.pem").write_bytes(pair.certificate)
    key = directory / "multipass_cert_key.pem"
    key.write_bytes(pair.key)
    key.chmod(0o644)
    lockout.look(store, True, with_passphrase := Report())
    assert not with_passphrase.problems
    lockout.look(store, False, without := Report())
    assert without.problems == 1
    assert "sudo multipass-trust add --user alice" in capsys.readouterr().out
    assert key.stat().st_mode & 0o777 == 0o644, "a check changes nothing"

    store.add(pem_to_der(pair.certificate), "test", None)
    report = Report()
    lockout.look(store, False, report)
    assert not report.problems


def test_what_answers_with_rubbish_is_a_finding_and_no_crash(sandbox: Sandbox) -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sandbox.socket_path))
        listening.listen()
        thread = threading.Thread(target=answer, args=[listening])
        thread.start()
        found = probe.ask(sandbox.socket_path, sandbox.root_cert)
        thread.join()
    assert found.listener == os.geteuid()
    assert "broke the connection off" in found.problem
