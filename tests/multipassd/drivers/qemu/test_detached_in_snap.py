"""QEMU of its own user beside a root that has no rights but over its own, as AppArmor has it in a
strict snap: no files of others, no signals to others, no groups. KVM is handed over, opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.qemu.command_line import SYSTEM
from multipassd.drivers.qemu.detached_runner import KVM

LOST = ["kill", "dac_override", "dac_read_search", "fowner", "fsetid"]
WITHOUT = [
    "setpriv", f"--bounding-set={','.join(f'-{each}' for each in LOST)}", "--inh-caps=-all",
]  # fmt: skip
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from multipassd.drivers.qemu import acceleration, command_line, detached_runner

detached_runner.USERS = ("nobody",)
base = Path(sys.argv[1])
runner = detached_runner.DetachedRunner(base / "run", base / "machines")

async def main():
    words = command_line.probe("pc", "tcg", "qemu64", runner.runtime("foo"))
    place = base / "machines/foo"
    place.mkdir(parents=True)
    await runner.start("foo", words, place)
    monitor = await acceleration.reach(runner, "foo", 20.0)
    pid = detached_runner.json.loads((base / "run/foo.json").read_text())["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Groups:\\t \\n" in status, status
    try:
        os.kill(pid, 0)
        sys.exit("root may signal it, so nothing is proven")
    except PermissionError:
        pass
    monitor.close()
    await runner.clear("foo")
    assert detached_runner.Identity.of(pid) is None
    assert os.listdir(base / "run") == []

asyncio.run(main())
"""
HANDED = """
import os, sys
from multipassd.drivers.qemu.detached_runner import _with_kvm

words, descriptors = _with_kvm([sys.argv[1], "-accel", "kvm"])
assert words[2] == "kvm,device=/dev/fdset/1", words
assert words[3:] == ["-add-fd", f"fd={descriptors[0]},set=1"], words
assert os.readlink(f"/proc/self/fd/{descriptors[0]}") == "/dev/kvm"
assert _with_kvm([sys.argv[1], "-accel", "tcg"]) == ([sys.argv[1], "-accel", "tcg"], ())
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Where another user gets to."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def python(copy: Path, script: str, argument: str, *, before: list[str] | None = None) -> None:
    """From a copy and by a Python that QEMU's user can reach, too: so does what ends QEMU."""
    (libraries,) = copy.glob(".venv/lib/*/site-packages")
    done = subprocess.run(
        [*(before or []), os.path.realpath(sys.executable), "-c", script, argument],
        env={**os.environ, "SNAP_NAME": "multipass", "PYTHONPATH": f"{copy}:{libraries}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
@pytest.mark.skipif(not shutil.which(SYSTEM), reason="needs QEMU")
def test_a_root_without_rights_over_others_reaches_its_monitor_and_ends_it(
    place: Path, copy: Path
) -> None:
    python(copy, SCRIPT, str(place), before=WITHOUT)


@pytest.mark.skipif(not os.access(KVM, os.R_OK | os.W_OK), reason="needs /dev/kvm")
def test_the_device_is_handed_over_open(copy: Path) -> None:
    python(copy, HANDED, SYSTEM)
