"""A storage directory that can't be written is named, with what mends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from multipassd.admin.access import locations, units
from multipassd.admin.findings.storage import lets_write
from multipassd.system import storage
from protocol import places
from tools.sandbox import CHECKOUT

BIND = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
DISK = 'mount -t tmpfs none "$1" && mount -o remount,ro "$1"'
ASK = (
    "import sys; from pathlib import Path; from multipassd.system import storage; "
    "print(storage.problem(Path(sys.argv[1]) / 'data'))"
)


def said(path: Path, mount: str) -> str:
    """With the directory mounted so, in a namespace of its own."""
    script = f'{mount} && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(path), sys.executable, ASK],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_sandbox_makes_read_only_is_told_with_the_drop_in(tmp_path: Path) -> None:
    told = said(tmp_path, BIND)
    assert "as the sandbox of its unit does not name it" in told
    assert f"`ReadWritePaths={tmp_path}/data`" in told and "multipass-images@.service" in told


def test_a_disk_that_is_mounted_read_only_is_told_as_that(tmp_path: Path) -> None:
    assert "on a file system that is mounted read-only" in said(tmp_path, DISK)


def test_nothing_is_told_of_what_can_be_written(tmp_path: Path) -> None:
    assert storage.problem(tmp_path / "not/made/yet") == ""


@pytest.mark.parametrize(
    ("paths", "states", "written"),
    [
        ("", "multipassd", False),
        ("-/run/multipass_socket /etc/multipassd", "multipassd", False),
        ("/srv/multipass", "", True),
        ("-/srv", "", True),
        ("/srv/multipass/data", "", False),
    ],
)
def test_what_a_unit_may_write_to(paths: str, states: str, written: bool) -> None:
    assert lets_write(Path("/srv/multipass"), paths, states) == written
    assert lets_write(Path("/var/lib/multipassd"), paths, "multipassd")


def test_the_administrators_program_looks_where_the_unit_has_the_service_look(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = f"PATH=/bin 'MULTIPASS_STORAGE={tmp_path}/a b' DAEMON_CONFIG_HOME=/etc"
    monkeypatch.setattr(places, "STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(units, "manager_runs", lambda: True)
    monkeypatch.setattr(units, "show", lambda unit, *names, timeout=0: [text])
    found = locations.find({"HOME": "/root"}, None, None)
    assert found.data == tmp_path / "a b/data" and found.machines == tmp_path / "a b/machines"
    assert found.of_unit and found.socket == Path("/run/multipass_socket")
    other = locations.find({"MULTIPASS_STORAGE": str(tmp_path)}, None, None)
    assert other.data == tmp_path / "data" and other.socket is None and not other.of_unit


def test_a_systemd_that_hangs_keeps_nobody_from_the_repair(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hanging = tmp_path / "systemctl"
    hanging.write_text("#!/bin/sh\nexec sleep 1000\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(places, "STATE_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(units, "manager_runs", lambda: True)
    monkeypatch.setattr(units, "_tool", lambda: str(hanging))
    monkeypatch.setattr(units, "SOON", 0.1)
    assert locations.find({"HOME": "/root"}, None, None).data == tmp_path / "data"
