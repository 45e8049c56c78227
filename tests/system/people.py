"""Throw-away Unix users: real accounts, so that the kernel's own answers are what is tested."""

import grp
import os
import pwd
import re
import secrets
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from protocol import admins
from tools.terminal import Credentials

PREFIX = "mptest"
NAME = re.compile(rf"{PREFIX}-(\d+)-[a-z]+")
NEEDED = ("useradd", "usermod", "userdel", "setpriv", "unshare", "mount", "umount")
SUBORDINATES = 2000
LOCK_SECONDS = 30.0  # other tests and programs change the list of accounts, too


@dataclass(frozen=True)
class Person:
    """A user to run programs as; ``label`` is the name of their home in a sandbox."""

    label: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    account: str = ""
    credentials: Credentials = field(init=False)

    def __post_init__(self) -> None:
        own: Credentials = {"user": self.uid, "group": self.gid, "extra_groups": self.groups}
        object.__setattr__(self, "credentials", own)


ROOT = Person("root", 0, 0, account="root")


@dataclass(frozen=True)
class People:
    alice: Person  # in the group sudo
    bob: Person  # in no group
    carol: Person  # lent SUBORDINATES uids
    dave: Person  # in the group sudo, too
    first_subordinate: int

    def subordinate(self, number: int) -> Person:
        """One of carol's subordinate uids, as a container of hers would use it."""
        assert number < SUBORDINATES
        return stranger(f"carol-{number}", self.first_subordinate + number)


def stranger(label: str, uid: int) -> Person:
    """A uid that has no account."""
    return Person(label, uid, uid)


def obstacle() -> str:
    """Why tests with users of their own can't run here; empty if they can."""
    if os.geteuid() != 0:
        return "needs root, to make users and to act as them"
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    return "" if admin_group() else f"needs one of the groups {', '.join(admins.GROUPS)}"


def admin_group() -> str:
    there = {entry.gr_name for entry in grp.getgrall()}
    return next((name for name in admins.GROUPS if name in there), "")


def create(admin_group: str) -> People:
    first = 1_100_000_000 + secrets.randbelow(400_000) * SUBORDINATES
    alice = _add("alice", "--groups", admin_group)
    bob = _add("bob")
    carol = _add("carol")
    lent = f"{first}-{first + SUBORDINATES - 1}"
    _account_tool("usermod", "--add-subuids", lent, carol.account)
    dave = _add("dave", "--groups", admin_group)
    return People(alice, bob, carol, dave, first)


def remove_own() -> None:
    """Remove the accounts that this process made, and those of runs that were killed, unless
    something that such a run started still goes on."""
    for entry in pwd.getpwall():
        found = NAME.fullmatch(entry.pw_name)
        if found and not _other_run(int(found[1])):
            try:
                _account_tool("userdel", entry.pw_name)
            except RuntimeError as error:
                if int(found[1]) == os.getpid() or "currently used" not in str(error):
                    raise


def _other_run(pid: int) -> bool:
    return pid != os.getpid() and Path(f"/proc/{pid}").exists()


def _add(label: str, *options: str) -> Person:
    account = f"{PREFIX}-{os.getpid()}-{label}"
    _account_tool(
        "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", f"/tmp/{account}",
        "--shell", "/usr/sbin/nologin", *options, account,
    )  # fmt: skip
    entry = pwd.getpwnam(account)
    groups = tuple(os.getgrouplist(account, entry.pw_gid))
    return Person(label, entry.pw_uid, entry.pw_gid, groups, account)


def _account_tool(*command: str) -> None:
    """The tools give up when another one holds their lock, so they are asked again."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        if time.monotonic() > deadline or "lock" not in done.stderr:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        time.sleep(0.1)
