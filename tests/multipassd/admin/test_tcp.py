"""What `tcp` refuses where it can't work; the rest is proven on a real host."""

from __future__ import annotations

import os

import pytest

from multipassd.admin import tcp
from multipassd.admin.access import units
from multipassd.admin.access.verb import TrustError
from tests.multipassd.admin.trust import Trust, snapshot


@pytest.mark.skipif(units.manager_runs(), reason="systemd runs this machine")
def test_without_systemd_it_says_what_to_do_instead_and_changes_nothing(trust: Trust) -> None:
    before = snapshot(trust.sandbox.root)
    for action in (tcp.ENABLE, tcp.DISABLE):
        said = trust.refused("tcp", action)
        assert "systemd does not run" in said and "--address" in said and "add --user" in said
    assert snapshot(trust.sandbox.root) == before


def test_in_the_snap_it_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAP_NAME", "multipass")
    with pytest.raises(TrustError, match="snap set multipass address="):
        tcp._check_host()


def test_disable_takes_no_user(trust: Trust) -> None:
    done = trust.run("tcp", "disable", "--user", "alice")
    assert done.returncode == 2
    assert "leaves trust as it is" in done.stderr


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
