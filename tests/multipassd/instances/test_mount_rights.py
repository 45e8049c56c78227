"""Whose mounts a restore or a clone brings back."""

from __future__ import annotations

import pytest

from multipassd.auth.peer import Credentials
from multipassd.instances import mount_rights
from multipassd.instances.records.record import Mount

ALICE, BOB = 1001, 1002


def mount(uid: int, target: str) -> Mount:
    return Mount(source=f"/srv/{uid}", target=target, uid=uid, gid=uid)


def credentials(uid: int) -> Credentials:
    return Credentials(uid=uid, gid=uid, groups=frozenset({uid}), pid=1)


OF_ALICE, OF_BOB = mount(ALICE, "a"), mount(BOB, "b")
BOTH = (OF_ALICE, OF_BOB)


@pytest.mark.parametrize(
    ("uid", "granted"), [(ALICE, (OF_ALICE,)), (BOB, (OF_BOB,)), (0, BOTH), (None, ())]
)
def test_a_caller_brings_back_only_their_own_mounts_and_root_all(
    uid: int | None, granted: tuple[Mount, ...]
) -> None:
    caller = None if uid is None else credentials(uid)
    division = mount_rights.divide(BOTH, caller)
    assert division.granted == granted
    assert set(division.left_out) == set(BOTH) - set(granted)


def test_a_mount_that_is_there_now_stays_for_every_caller() -> None:
    assert mount_rights.divide(BOTH, credentials(BOB), present=(OF_ALICE,)).granted == BOTH


def test_the_sentence_says_whose_it_is_and_who_can_mount_it() -> None:
    told = mount_rights.sentence(OF_ALICE, "foo")
    assert told == (
        "the mount \"a\" was left out of 'foo', as /srv/1001 was mounted by another user (uid "
        "1001); only they or root can mount it again"
    )
