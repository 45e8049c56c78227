"""The key of one guest is replaced, and a kill at each step locks the service out at none.

The guest is a home directory, real shells for its commands, and a log-in that looks at its keys.
"""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from multipassd.cloudinit import seed
from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import NO_KEY, UNCHECKED, ServiceKey
from multipassd.instances.attachments.login_key import LoginKey
from multipassd.instances.records.record import Record, Snapshot
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.snapshots import tree
from multipassd.instances.states.errors import GuestSilent
from tools import records
from tools.sandbox import Sandbox

MOST_STEPS = 40
USERS = "ssh-rsa BBBB of a user"


class Killed(BaseException):
    """The daemon was killed here."""


class Case:
    def __init__(self, sandbox: Sandbox, **fields: object) -> None:
        sandbox.data.mkdir(parents=True, exist_ok=True)
        self.sandbox = sandbox
        self.key, self.authority = ServiceKey(sandbox.data), SshAuthority(sandbox.data)
        self.shared: bool | None = True
        self.logins = Logins(self.key, self.authority, lambda: self.shared)
        self.registry = records.registry(sandbox)
        record = records.make("foo", ssh_authority=self.authority.public)
        self.registry.put(record.replace(**fields))
        place = self.registry.place("foo")
        place.mkdir(parents=True, exist_ok=True)
        self.seed = place / "seed.iso"
        text = f"#cloud-config\nusers:\n- keys:\n  - {self.key.public}\n  - {self.line()}\n"
        self.seed.write_bytes(seed.image({"meta-data": b"a: b\n", "user-data": text.encode()}))
        self.home = sandbox.root / "guest"
        (self.home / ".ssh").mkdir(parents=True)
        self.keys = self.home / ".ssh/authorized_keys"
        self.keys.write_text(f"{USERS}\n{self.key.public} c\n{self.line()}\n")
        self.left = MOST_STEPS  # before the daemon is killed
        self.warnings: list[str] = []
        self.again()

    def again(self) -> None:
        """As after a start of the daemon."""
        self.registry = records.registry(self.sandbox)
        self.registry.load()
        self.stored = StoredRecord(self.record, self.registry)
        self.login_key = LoginKey(self.stored, self.logins)

    @property
    def record(self) -> Record:
        return self.registry.get("foo")

    def line(self) -> str:
        return self.authority.line(self.record)

    def lets_in(self, name: str) -> bool:
        keys = self.keys.read_text()
        return (self.line() if name == NO_KEY else self.key.public_of(name)) in keys

    async def execute(self, command: str, seconds: float, key: str | None = None, /) -> str:
        self.step()
        if not self.lets_in(self.stored.record.ssh_key if key is None else key):
            raise GuestSilent("foo: ssh ended with 255")
        said = await asyncio.to_thread(self.run, command)
        self.step()
        return said

    def run(self, command: str) -> str:
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        return subprocess.run(
            ["sh", "-c", command], env=environment, capture_output=True, text=True, check=True
        ).stdout

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed

    def replace(self) -> None:
        asyncio.run(self.login_key.replace(self.execute, self.warnings.append))


@pytest.mark.parametrize("steps", range(12))
def test_a_kill_at_each_step_loses_nothing_and_the_next_answer_goes_on(
    sandbox: Sandbox, steps: int
) -> None:
    case = Case(sandbox)
    former = case.key.public
    name = case.key.rotate()
    case.left = steps
    try:
        case.replace()
    except Killed:
        pass
    else:
        assert not case.login_key.pending()
    case.again()
    assert case.lets_in(case.record.ssh_key), "the service can log in by what its record says"
    case.left = MOST_STEPS
    case.replace()
    assert case.record.ssh_key == case.record.ssh_key_alone == name and case.warnings == []
    assert case.keys.read_text() == f"{USERS}\n{case.key.public} c\n{case.line()}\n"
    found = seed.read(case.seed)["user-data"].decode()
    assert former not in found and case.key.public in found


def test_what_was_taken_over_or_restored_gets_the_key_too(sandbox: Sandbox) -> None:
    case = Case(sandbox)
    snapshot = tree.new(case.record, "first", "", tag="t", created=1.0)
    case.stored.put(tree.added(case.stored.record, snapshot))
    before = case.keys.read_text()
    name = case.key.rotate()
    case.replace()
    assert case.record.ssh_keys == {"", name}, "the snapshot needs the former one"
    (kept,) = case.record.snapshots
    case.stored.put(tree.returned(case.stored.record, kept, ()))
    case.keys.write_text(before)
    assert case.login_key.pending() and case.lets_in(case.record.ssh_key)
    case.replace()
    assert not case.login_key.pending() and case.lets_in(name) and not case.lets_in("")


def test_a_snapshot_of_an_earlier_release_is_reached_by_the_key_of_then() -> None:
    snapshot = Snapshot(
        name="first", index=1, tag="t", created=1.0, instance_id="i", cpus=1, memory=1, disk=1
    )
    record = records.make("foo", ssh_key="taken-over", snapshots=(snapshot,))
    assert record.ssh_keys == {"taken-over"}
    assert record.reached_by("new").ssh_keys == {"taken-over", "new"}


def test_without_a_shared_key_none_is_let_in_and_with_one_it_comes_back(sandbox: Sandbox) -> None:
    case = Case(sandbox)
    case.shared = False
    case.replace()
    assert case.record.ssh_key == NO_KEY and not case.login_key.pending()
    assert case.keys.read_text() == f"{USERS}\n{case.line()}\n"
    assert case.key.public not in seed.read(case.seed)["user-data"].decode()
    case.shared = None
    assert not case.login_key.pending(), "what can't be told changes nothing"
    case.shared = True
    case.replace()
    assert case.record.ssh_key == "" and case.lets_in("") and not case.login_key.pending()


def test_a_guest_that_takes_no_certificate_keeps_the_key(sandbox: Sandbox) -> None:
    case = Case(sandbox, ssh_authority="")
    case.shared = False
    assert not case.login_key.pending()


def test_a_certificate_that_is_not_let_in_is_a_warning_and_the_key_stays(sandbox: Sandbox) -> None:
    case = Case(sandbox)
    case.keys.write_text(f"{case.key.public}\n")
    case.shared = False
    case.replace()
    assert case.lets_in("") and case.record.ssh_key == ""
    assert "does not let a certificate in" in case.warnings[0]


def test_what_stands_in_the_way_is_a_warning_and_stays_pending(sandbox: Sandbox) -> None:
    case = Case(sandbox)
    case.key.rotate()
    case.keys.rename(case.home / "elsewhere")
    case.keys.symlink_to(case.home / "elsewhere")
    case.replace()
    assert "symbolic link" in case.warnings[0] and case.login_key.pending()
    assert case.lets_in(case.record.ssh_key)


def test_a_clone_loses_the_line_of_its_source(sandbox: Sandbox) -> None:
    case = Case(sandbox, ssh_key_alone=UNCHECKED)
    own = case.keys.read_text()
    case.keys.write_text(own + own.splitlines()[-1].replace("foo-1", "source-1") + "\n")
    assert case.login_key.pending()
    case.replace()
    assert case.keys.read_text() == own and not case.login_key.pending()
