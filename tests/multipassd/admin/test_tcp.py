"""What `tcp` refuses where it can't work; the rest is proven on a real host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from multipassd.admin import tcp
from multipassd.admin.access import exposure, units
from multipassd.admin.access.locations import Place
from multipassd.admin.access.verb import TrustError
from multipassd.auth import passphrase
from tests.multipassd.admin.trust import Trust, snapshot


@pytest.mark.skipif(units.manager_runs(), reason="systemd runs this machine")
def test_without_systemd_it_says_what_to_do_instead_and_changes_nothing(trust: Trust) -> None:
    before = snapshot(trust.sandbox.root)
    for action in (tcp.ENABLE, tcp.DISABLE, tcp.STATUS):
        said = trust.refused("tcp", action)
        assert "systemd does not run" in said and "--address" in said and "add --user" in said
    assert snapshot(trust.sandbox.root) == before


def place(settings: Path) -> Place:
    nowhere = settings.parent
    return Place(nowhere, nowhere, settings, nowhere / "root.pem", None)


def test_in_the_snap_it_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SNAP_NAME", "multipass")
    with pytest.raises(TrustError, match=r"snap set multipass address=127\.0\.0\.1:50051"):
        tcp._check_host(place(tmp_path / "conf"), None, tcp.ENABLE)
    with pytest.raises(TrustError) as caught:
        tcp._check_host(place(tmp_path / "conf"), "0.0.0.0:50052", tcp.ENABLE)
    said = str(caught.value)
    assert "`sudo snap set multipass address=0.0.0.0:50052`" in said and "Warning: every" in said


@pytest.mark.parametrize("action", [tcp.DISABLE, tcp.STATUS])
@pytest.mark.parametrize("option", ["--user", "--address"])
def test_only_enable_takes_a_user_and_an_address(trust: Trust, action: str, option: str) -> None:
    done = trust.run("tcp", action, option, "x")
    assert done.returncode == 2
    assert "leaves trust as it is" in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("50051", "missing port number"),
        ("0.0.0.0:x", "invalid port number"),
        ("0.0.0.0:0", "is no HOST:PORT"),
        ("unix:/run/x", "is no HOST:PORT"),
        ("lab.example:1", "lab.example is a name"),
        ("[fe80::1%eth0]:1", "on one link only"),
        ("192.0.2.1:1", "no interface of this host"),
    ],
)
def test_an_address_that_no_unit_can_have_is_refused(text: str, why: str) -> None:
    with pytest.raises(TrustError, match="Nothing was changed") as caught:
        exposure.parse(text)
    assert why in str(caught.value)


def test_an_address_is_written_as_systemd_shows_it() -> None:
    shown = {"localhost:1": "127.0.0.1:1", "0.0.0.0:50051": "0.0.0.0:50051", "[::]:2": "[::]:2"}
    assert {text: str(exposure.parse(text)) for text in shown} == shown


def test_it_says_what_other_machines_may_do_and_whether_a_passphrase_is_set(tmp_path: Path) -> None:
    settings = tmp_path / "multipassd.conf"
    here = place(settings)
    for address in ("127.0.0.1:50051", "[::1]:50051"):
        assert exposure.notes(address, here) == []
    joining, warning, *_ = exposure.notes("[::]:50051", here)
    assert f"as {socket.gethostname()}:50051. `multipass invite NAME`" in joining
    assert "None is set, so only invitations let others in." in warning
    settings.write_text(f"[General]\nlocal.passphrase={passphrase.make('open')}\n")
    settings.chmod(0o600)
    assert "One is set." in exposure.notes("192.0.2.1:50051", here)[1]
    settings.write_text("damaged")
    settings.chmod(0o666)
    assert "It is not known whether one is set" in exposure.notes("0.0.0.0:1", here)[1]


def test_a_firewall_that_runs_is_named_with_the_command_that_opens_the_port(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running: set[str] = set()
    monkeypatch.setattr(exposure, "UFW", tmp_path / "ufw.conf")
    monkeypatch.setattr(exposure, "_runs", lambda unit: unit in running)
    assert exposure.firewalls("50051") == []
    running.add("nftables.service")
    assert "`tcp dport 50051 accept`" in exposure.firewalls("50051")[0]
    running.add("firewalld.service")
    (said,) = exposure.firewalls("50051")  # it is what manages nftables then
    assert "`sudo firewall-cmd --permanent --add-port=50051/tcp && " in said
    running.clear()
    (tmp_path / "ufw.conf").write_text("# ENABLED=yes\nENABLED=no\n")
    assert exposure.firewalls("50051") == []
    (tmp_path / "ufw.conf").write_text("ENABLED=yes\n")
    assert "`sudo ufw allow 50051/tcp`" in exposure.firewalls("50051")[0]


def test_the_user_is_the_human_behind_sudo_or_pkexec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PKEXEC_UID", raising=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("SUDO_USER", "alice")
    assert tcp.human() == "alice"
    for name in ("", "root"):
        monkeypatch.setenv("SUDO_USER", name)
        if name or os.geteuid() == 0:
            with pytest.raises(TrustError, match="--user"):
                tcp.human()


@pytest.mark.root
def test_the_user_behind_pkexec_is_found_by_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUDO_USER", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PKEXEC_UID", "1")
    assert tcp.human() == "daemon"
    monkeypatch.setenv("PKEXEC_UID", "4294967290")
    with pytest.raises(TrustError, match="--user"):
        tcp.human()
