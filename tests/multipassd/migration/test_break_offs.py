"""kill -9 at each stage: the instance is whole in one of both places, and the next run goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback
from pathlib import Path

import pytest

from multipassd.driver_choice import DRIVERS
from multipassd.drivers.backend import Surroundings
from multipassd.migration.taking import Taking, Wish
from multipassd.migration.vault import Vault
from tests.multipassd.migration.conftest import Migrate
from tests.multipassd.migration.old_vault import image

STAGES = ("copy", "files", "disk", "drop", "rename", "record")


class Killed(Taking):
    """Kills its process at the beginning of a stage."""

    at = ""

    def stage(self, name: str) -> None:
        if name == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def take_until(migrate: Migrate, stage: str, wish: Wish) -> None:
    child = os.fork()
    if child == 0:
        driver = DRIVERS["qemu"]().make(
            Surroundings(os.environ, migrate.storage, migrate.data, lambda key: "")
        )
        taking = Killed(migrate.data, migrate.machines, driver, print, lambda done, size: None)
        taking.at = stage
        (entry,) = Vault(migrate.old.data).entries()
        try:
            asyncio.run(taking.take(entry, "foo", wish))
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status


def whole_places(migrate: Migrate) -> list[Path]:
    """Where a disk with its content is, and what belongs to it."""
    staged = migrate.machines / ".foo.migrating"
    found = [migrate.old.disk("foo")]
    found += [place / "disk.qcow2" for place in (staged, migrate.machines / "foo")
              if (place / "record.json").exists()]  # fmt: skip
    return [disk for disk in found if disk.exists()]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
def test_a_run_that_was_killed_is_gone_on_with(migrate: Migrate, stage: str, move: bool) -> None:
    if move and stage == "copy":
        pytest.skip("nothing is copied")
    disk = migrate.old.add("foo", state=7)
    image("bench", "-w", "-c", "64", "--pattern", "65", "-f", "qcow2", disk)
    image("snapshot", "-c", "suspend", disk)
    before = migrate.old.content()
    wish = Wish(move, drop_suspended=True)
    for _ in range(2):  # broken off twice at the same place
        take_until(migrate, stage, wish)
        assert whole_places(migrate)
        if stage == "record":
            break
    if not move:
        assert migrate.old.content() == before
    words = ["--move"] if move else []
    told = migrate.done("take", "foo", "--drop-suspended", *words)
    assert told == "foo: taken over.\n"
    assert migrate.here() == ["foo"] and os.listdir(migrate.machines) == ["foo"]
    assert b"A" * 4096 in (migrate.machines / "foo/disk.qcow2").read_bytes()
    assert disk.exists() is not move


def test_between_both_renames_the_service_can_rebuild_it_too(migrate: Migrate) -> None:
    migrate.old.add("foo")
    take_until(migrate, "record", Wish(move=True))
    (damaged,) = migrate.registry.damaged.values()
    assert damaged.copy is not None and damaged.copy.name == "foo"
