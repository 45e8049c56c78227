"""The users of the story: as root, two other uids and root; else two clients of one user."""

import os
import subprocess
from dataclasses import dataclass

from tools.activate import admin_group
from tools.sandbox import MULTIPASS

# Uids without account, so that no account has to be created and removed.
ALICE_UID, BOB_UID = 60701, 60702


@dataclass(frozen=True)
class Person:
    """A user, and the client that acts for them."""

    name: str
    uid: int | None = None  # None: the user who runs the story
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class People:
    """The users of the story."""

    alice: Person
    bob: Person
    carol: Person
    root: Person | None


def can_run_as_others() -> bool:
    """As root: whether an unprivileged user can run this checkout."""
    if os.geteuid() != 0:
        return False
    try:
        probe = subprocess.run(
            [str(MULTIPASS), "help"],
            env={"HOME": "/", "PATH": "/usr/bin:/bin"},
            cwd="/",
            user=BOB_UID,
            group=BOB_UID,
            extra_groups=[],
            capture_output=True,
            check=False,
            timeout=60,
        )
    except PermissionError:  # the checkout is in a directory that only root can enter
        return False
    return probe.returncode == 0


def choose_people() -> People:
    group = admin_group()
    root = Person("root") if os.geteuid() == 0 else None
    if group is None or not can_run_as_others():
        return People(Person("alice"), Person("bob"), Person("carol"), root)
    print(f"alice is uid {ALICE_UID} in group {group}; bob and carol are uid {BOB_UID}.")
    return People(
        Person("alice", ALICE_UID, (group,)),
        Person("bob", BOB_UID),
        Person("carol", BOB_UID),
        root,
    )
