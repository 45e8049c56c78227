"""The snap's hooks, run as snapd runs them, against a stand-in for snapctl."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from multipassd.snap.hooks import HOOKS
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import certificates
from protocol.pem import pem_to_der
from tests.multipassd.snap.snap import SNAPCTL, Snap, earlier
from tools.sandbox import CHECKOUT, Sandbox

RESTART = ["restart multipass.multipassd"]
NO_HOOK = {"wake"}


@pytest.fixture
def snap(sandbox: Sandbox) -> Snap:
    return Snap(sandbox.root)


def a_certificate() -> bytes:
    return pem_to_der(certificates.make_client().certificate)


def contents(root: Path) -> dict[str, bytes]:
    return {str(each): each.read_bytes() for each in root.rglob("*") if each.is_file()}


class TestTable:
    def test_every_hook_of_the_table_is_a_program_and_the_other_way_round(self) -> None:
        files = list((CHECKOUT / "snap/hooks").iterdir())
        assert {each.name for each in files} == HOOKS.keys() - NO_HOOK
        assert all(os.access(each, os.X_OK) for each in files)

    @pytest.mark.parametrize("name", sorted(HOOKS.keys() - NO_HOOK))
    def test_on_a_fresh_machine_each_succeeds_and_enrols_nobody(
        self, snap: Snap, name: str
    ) -> None:
        done = snap.hook(name)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert not snap.store.exists()

    @pytest.mark.parametrize("name", sorted(HOOKS.keys() - NO_HOOK))
    def test_what_1_16_keeps_is_left_alone(self, snap: Snap, name: str) -> None:
        vault = snap.common / "data/multipassd/vault/instances/primary"
        vault.mkdir(parents=True)
        (vault / "disk.img").write_bytes(b"precious")
        (vault.parents[1] / "multipassd-instance-image-records.json").write_text("{")
        before = contents(snap.common / "data")
        assert snap.hook(name).returncode == 0
        assert contents(snap.common / "data") == before


class TestConfigure:
    def test_what_is_set_is_kept_for_the_service(self, snap: Snap) -> None:
        snap.is_set(address="127.0.0.1:50051", verbosity="debug", http_proxy="http://p:3128")
        assert snap.hook("configure").returncode == 0
        assert json.loads(snap.options.read_text()) == {
            "address": "127.0.0.1:50051",
            "verbosity": "debug",
            "http-proxy": "http://p:3128",
        }
        assert snap.options.stat().st_mode & 0o777 == 0o600

    def test_a_running_service_is_restarted_by_a_change_and_only_by_one(self, snap: Snap) -> None:
        snap.service("active")
        snap.is_set(verbosity="debug")
        for _ in range(2):
            assert snap.hook("configure").returncode == 0
        assert snap.asked() == RESTART
        snap.is_set()
        assert snap.hook("configure").returncode == 0
        assert snap.asked() == RESTART * 2
        assert json.loads(snap.options.read_text()) == {}

    @pytest.mark.parametrize(
        ("key", "value", "why"),
        [
            ("address", "nonsense", "address=nonsense is not used: "),
            ("address", "unix:/tmp/s", "the Unix socket is always served"),
            ("address", 50051, "address=50051 is not used: "),
            ("address", {"host": "a"}, "it must be text"),
            ("verbosity", True, "verbosity=true is not used: it must be text"),
            ("verbosity", "loud", "one of error, warning, info, debug, trace"),
            ("http_proxy", "p:3128", "http-proxy is not used: it must be http://"),
            ("https_proxy", "http://user:secret@:1", "https-proxy is not used"),
            ("no_proxy", "a b", "no-proxy is not used"),
            ("verbosity", "x" * 2000, "more than 1000 characters"),
        ],
    )
    def test_a_wrong_value_fails_with_a_sentence_and_changes_nothing(
        self, snap: Snap, key: str, value: object, why: str
    ) -> None:
        snap.service("active")
        snap.is_set(verbosity="debug")
        assert snap.hook("configure").returncode == 0
        kept, asked = snap.options.read_bytes(), snap.asked()
        snap.is_set(**{"verbosity": "trace", key: value})
        done = snap.hook("configure")
        assert done.returncode == 1
        assert why in done.stderr and done.stderr.count("\n") == 1
        assert "secret" not in done.stderr
        assert (snap.options.read_bytes(), snap.asked()) == (kept, asked)

    def test_a_damaged_file_is_written_anew(self, snap: Snap) -> None:
        snap.options.write_text("{")
        assert snap.hook("configure").returncode == 0
        assert json.loads(snap.options.read_text()) == {}

    @pytest.mark.parametrize("why", ["TCP", "an instance that ran"])
    def test_a_service_that_has_work_without_a_caller_is_woken(self, snap: Snap, why: str) -> None:
        if why == "TCP":
            snap.is_set(address="localhost:0")
        else:
            snap.is_set(verbosity="debug")
            (snap.common / "data/multipassd/running").mkdir(parents=True)
            (snap.common / "data/multipassd/running/foo").touch()
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(snap.socket))
            listening.listen()
            listening.settimeout(5)
            assert snap.hook("configure").returncode == 0
            with listening.accept()[0] as caller:
                assert caller.recv(1) == b""

    def test_a_snapd_that_does_not_answer_is_an_error(self, snap: Snap) -> None:
        (snap.root / "bin/snapctl").write_text("#!/bin/sh\necho no such thing >&2; exit 1\n")
        done = snap.hook("configure")
        assert done.returncode == 1
        assert "no such thing" in done.stderr and "Traceback" not in done.stderr

    def test_a_restart_that_snapd_refuses_changes_nothing(self, snap: Snap) -> None:
        snap.is_set(verbosity="debug")
        assert snap.hook("configure").returncode == 0
        kept = snap.options.read_bytes()
        snap.is_set(verbosity="trace")
        snap.service("active")
        snapctl = snap.root / "bin/snapctl"
        snapctl.write_text(f"{SNAPCTL}test $1 != restart || {{ echo busy >&2; exit 1; }}\n")
        done = snap.hook("configure")
        assert done.returncode == 1
        assert "busy" in done.stderr
        assert snap.options.read_bytes() == kept


class TestInterface:
    @pytest.mark.parametrize("plug", ["multipass-support", "kvm"])
    @pytest.mark.parametrize("way", ["connect", "disconnect"])
    def test_a_running_service_is_restarted(self, snap: Snap, way: str, plug: str) -> None:
        snap.service("active")
        assert snap.hook(f"{way}-plug-{plug}").returncode == 0
        assert snap.asked() == RESTART

    @pytest.mark.parametrize("way", ["connect", "disconnect"])
    def test_one_that_waits_for_its_first_caller_goes_on_waiting(
        self, snap: Snap, way: str
    ) -> None:
        assert snap.hook(f"{way}-plug-multipass-support").returncode == 0
        assert snap.asked() == []


class TestRefresh:
    def test_the_settings_of_1_16_are_taken_over_once_and_left_alone(self, snap: Snap) -> None:
        earlier(snap, "[General]\nlocal.driver=lxd\n")
        assert snap.hook("post-refresh").returncode == 0
        assert snap.settings.read_text() == "[General]\nlocal.driver=lxd\n"
        snap.settings.write_text("[General]\nlocal.driver=qemu\n")
        assert snap.hook("post-refresh").returncode == 0
        assert snap.settings.read_text() == "[General]\nlocal.driver=qemu\n"
        assert snap.earlier_settings.read_text() == "[General]\nlocal.driver=lxd\n"

    def test_a_store_that_this_version_can_not_use_undoes_the_refresh(self, snap: Snap) -> None:
        self._trusting(snap)
        assert snap.hook("pre-refresh").returncode == 0
        snap.store.write_bytes(b"-----BEGIN SOMETHING NEW-----\n")
        new = self._next(snap)
        done = new.hook("post-refresh")
        assert done.returncode == 1
        assert done.stderr.startswith("This version can't use the list of trusted clients: ")

    def test_a_store_that_was_damaged_before_keeps_no_update_out(self, snap: Snap) -> None:
        self._trusting(snap)
        snap.store.write_bytes(b"garbage\n")
        assert snap.hook("pre-refresh").returncode == 0
        assert self._next(snap).hook("post-refresh").returncode == 0

    def test_a_sound_store_lets_it_through_and_the_word_is_gone(self, snap: Snap) -> None:
        self._trusting(snap)
        before = snap.store.read_bytes()
        assert snap.hook("pre-refresh").returncode == 0
        new = self._next(snap)
        assert new.hook("post-refresh").returncode == 0
        assert not (new.data / "trust-before-refresh").exists()
        assert snap.store.read_bytes() == before

    @staticmethod
    def _trusting(snap: Snap) -> None:
        snap.store.parent.parent.mkdir(parents=True, exist_ok=True)
        store = TrustStore(snap.store.parent)
        store.load()
        store.add(a_certificate(), "test", 0)
        assert store.state is TrustState.TRUSTING

    @staticmethod
    def _next(snap: Snap) -> Snap:
        """As snapd does: the data of the old revision is copied for the new one."""
        shutil.copytree(snap.data, snap.root / "x2")
        return Snap(snap.root, "x2")
