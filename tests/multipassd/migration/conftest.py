from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.drivers.qemu import command_line
from multipassd.instances.records.record import Record
from multipassd.instances.records.registry import Registry
from tests.multipassd.migration.old_vault import OldVault
from tools.sandbox import CHECKOUT

MIGRATE = CHECKOUT / "bin" / "multipass-migrate"


class Migrate:
    """The program as a process, on the storage of a service that is not up."""

    def __init__(self, root: Path) -> None:
        self.storage = root / "new"
        self.data = self.storage / "data"
        self.machines = self.storage / "machines"
        self.data.mkdir(parents=True)
        self.old = OldVault(root / "old")
        self.source = ("--from", str(self.old.data))

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                sys.executable,
                "-I",
                str(MIGRATE),
                *map(str, arguments),
                "--from",
                str(self.old.data),
            ],
            env={"PATH": os.environ["PATH"], "MULTIPASS_STORAGE": str(self.storage)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def done(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str | Path) -> str:
        done = self.run(*arguments)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    @property
    def registry(self) -> Registry:
        registry = Registry(self.data / "instances", self.machines)
        registry.read()
        return registry

    def record(self, name: str) -> Record:
        return self.registry.get(name)

    def here(self) -> list[str]:
        registry = self.registry
        assert registry.whole, [*registry.strange, *registry.damaged]
        return registry.names()


@pytest.fixture
def migrate(tmp_path: Path) -> Iterator[Migrate]:
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img")
    if not command_line.OVMF_CODE.exists():
        pytest.skip("needs ovmf")
    tmp_path.chmod(0o755)
    yield Migrate(tmp_path)
