"""The daemon as a snap has it: a socket of nobody's group, open to all, and no right to change it.

Real confinement is tested in tests/packaging; here the right to chown is taken away for real.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from multipassd.transport.listener import admin_group
from protocol.certificates import make_client
from tests.multipassd.snap.snap import Snap
from tools.sandbox import CHECKOUT, Sandbox, daemon_command

SECONDS = 30.0
ALICE, BOB = 61001, 61002  # no users of the machine
WITHOUT_CHOWN = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"]

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv"),
    pytest.mark.skipif(not admin_group(), reason="needs an admin group"),
]


@pytest.fixture
def snap(sandbox: Sandbox, copy: Path) -> Snap:
    one = Snap(sandbox.root, tree=copy)
    one.common.chmod(0o755)  # as snapd makes it
    return one


@contextmanager
def running(snap: Snap, *before: str) -> Iterator[None]:
    """The daemon behind a socket as snapd's `sockets:` makes it."""
    log = (snap.root / "log").open("ab")
    command = [
        *before, sys.executable, "-m", "tools.activate", "--socket", str(snap.socket),
        "--mode", "666", "--group", "root", "--", *daemon_command(),
    ]  # fmt: skip
    activator = subprocess.Popen(command, env=snap.environ, cwd=CHECKOUT, stderr=log, stdout=log)
    try:
        deadline = time.monotonic() + SECONDS
        while not snap.socket.exists() or _mode(snap) != 0o666:
            assert activator.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        yield
    finally:
        activator.send_signal(signal.SIGTERM)
        assert activator.wait(SECONDS) == 0, _log(snap)
        log.close()
        assert "Traceback" not in _log(snap)


def _log(snap: Snap) -> str:
    return (snap.root / "log").read_text()


def _mode(snap: Snap) -> int:
    return stat.S_IMODE(snap.socket.stat().st_mode)


def _call(snap: Snap, uid: int, *words: str, admin: bool = False) -> tuple[int, str]:
    home = snap.root / f"home-{uid}"
    (home / "snap/multipass/x1").mkdir(parents=True, exist_ok=True)
    if not (home / "snap/multipass/current").is_symlink():
        (home / "snap/multipass/current").symlink_to("x1")
        for path in (home, *home.rglob("*")):
            os.chown(path, uid, uid, follow_symlinks=False)
    done = subprocess.run(
        [snap.tree / "bin/multipass", *words],
        env={**snap.environ, "HOME": f"{home}/snap/multipass/x1", "SNAP_REAL_HOME": str(home)},
        cwd="/",
        user=uid,
        group=uid,
        extra_groups=[admin_group()] if admin else [],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_before_the_first_client_the_service_keeps_all_but_administrators_out(snap: Snap) -> None:
    with running(snap, *WITHOUT_CHOWN):
        for words in (("list",), ("authenticate", "guess"), ("get", "local.driver")):
            code, said = _call(snap, BOB, *words)
            assert code == 2
            assert said.startswith(f"{words[0]} failed: multipass socket access denied\n"), said
            assert "members of the group" in said
        assert not snap.store.exists() or not snap.store.read_bytes()
        assert _mode(snap) == 0o666, "narrowed to root:root it would lock the group out, too"
        assert snap.socket.stat().st_gid == 0
        assert _log(snap).count("turns away everybody but root") == 1
        assert "no root certificate" not in said, "users reach it"
        assert _call(snap, ALICE, "list", admin=True) == (0, "No instances found.\n")
        code, said = _call(snap, BOB, "list")
        assert (code, said.splitlines()[0]) == (
            2,
            "list failed: The client is not authenticated with the Multipass service.",
        )
        assert _mode(snap) == 0o666


def test_with_the_right_to_chown_the_socket_is_narrowed_and_opened(snap: Snap) -> None:
    with running(snap):
        assert _call(snap, BOB, "list")[0] == 2  # wakes the service
        assert _mode(snap) == 0o660 and snap.socket.stat().st_gid == admin_group()
        code, said = _call(snap, BOB, "list")
        assert (code, said.splitlines()[0]) == (
            2,
            "list failed: multipass socket access denied",
        )
        assert _call(snap, ALICE, "list", admin=True)[0] == 0
        assert _mode(snap) == 0o666


def test_files_lie_where_1_16_has_them(snap: Snap) -> None:
    with running(snap, *WITHOUT_CHOWN):
        assert _call(snap, ALICE, "list", admin=True)[0] == 0
        assert _call(snap, ALICE, "set", "local.bridged-network=eth1", admin=True)[0] == 0
    data = snap.common / "data/multipassd"
    assert snap.store.is_file()
    assert (data / "multipass_root_cert.pem").stat().st_mode & 0o004
    assert (data / "certificates/localhost.pem").is_file()
    home = snap.root / f"home-{ALICE}/snap/multipass/x1"
    assert (home / "data/multipass-client-certificate/multipass_cert.pem").is_file()
    assert "local.bridged-network=eth1" in snap.settings.read_text()
    assert not list(snap.data.iterdir()), "nothing that a revert would bring back"


def _trust(snap: Snap, *words: str, before: tuple[str, ...] = (), input: str = "") -> str:
    done = subprocess.run(
        [*before, CHECKOUT / "bin/multipass-trust", *words],
        env=snap.environ,
        cwd="/",
        input=input,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def test_the_administrators_program_names_the_snaps_commands(snap: Snap) -> None:
    with running(snap, *WITHOUT_CHOWN):
        said = _trust(snap, "check", before=tuple(WITHOUT_CHOWN))
        assert "turns away" in said and "PROBLEM" not in said, said
    snap.socket.unlink(missing_ok=True)
    assert "next: `sudo snap start multipass`" in _trust(snap, "check")
    snap.store.write_text("garbage\n")
    said = _trust(snap, "check")
    assert "by `sudo multipass.trust reset`" in said and "check --repair" not in said, said
    assert "systemctl" not in said and "multipass-trust" not in said
    snap.store.chmod(0o666)
    assert "`sudo multipass.trust check --repair`" in _trust(snap, "check")


def test_a_snap_that_may_not_act_as_a_user_prints_the_line_to_type(
    snap: Snap,
) -> None:
    confined = ("setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid")
    said = _trust(snap, "add", "--user", "games", before=confined)
    home = pwd.getpwnam("games").pw_dir
    path = f"{home}/snap/multipass/current/data/multipass-client-certificate/multipass_cert.pem"
    assert "It could not be done as games" in said
    assert said.splitlines()[2] == (f"  sudo cat {path} | sudo multipass.trust add --name games -")
    pem = make_client().certificate.decode()
    assert "(games) is trusted now" in _trust(snap, "add", "--name", "games", "-", input=pem)


def test_what_snap_set_has_set_counts_at_the_start(snap: Snap) -> None:
    snap.is_set(verbosity="debug", address="127.0.0.1:0")
    assert snap.hook("configure").returncode == 0
    with running(snap, *WITHOUT_CHOWN):
        assert _call(snap, ALICE, "list", admin=True)[0] == 0
    assert "[debug]" in _log(snap)


@pytest.mark.parametrize("content", ['{"address": "192.0.2.1:1"}', "{", '{"verbosity": "loud"}'])
def test_what_can_not_be_used_keeps_nobody_out(snap: Snap, content: str) -> None:
    snap.options.write_text(content)
    with running(snap, *WITHOUT_CHOWN):
        assert _call(snap, ALICE, "list", admin=True)[0] == 0
    assert "the Unix socket alone is served" in _log(snap) or "is not used" in _log(snap)
