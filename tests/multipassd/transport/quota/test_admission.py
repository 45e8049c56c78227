"""Connection caps by value alone: no sockets, no loop."""

from __future__ import annotations

import pytest

from multipassd.auth.standing import STRANGER, Standing
from multipassd.transport.quota import limits
from multipassd.transport.quota.admission import Admission, Slot
from protocol.roles import Role

TRUSTED = Standing(role=Role.ADMIN)
ADMIN = Standing(admin=True)
ROOT = Standing(root=True, admin=True)


class Seat:
    """A connection that only knows whether it was ended."""

    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def admission(monkeypatch: pytest.MonkeyPatch) -> Admission:
    monkeypatch.setattr(limits, "CONNECTIONS", 10)
    monkeypatch.setattr(limits, "RESERVED_CONNECTIONS", 4)
    monkeypatch.setattr(limits, "CONNECTIONS_PER_PERSON", 2)
    monkeypatch.setattr(limits, "PROVISIONAL_CONNECTIONS", 3)
    monkeypatch.setattr(limits, "PROVISIONAL_PER_PERSON", 2)
    return Admission()


def arrive(admission: Admission, person: str, standing: Standing = STRANGER) -> tuple[Seat, Slot]:
    slot = admission.slot(person, standing)
    seat = Seat()
    admission.admit(seat, person, slot)
    return seat, slot


def slots(admission: Admission, person: str, count: int, standing: Standing) -> list[Slot]:
    return [arrive(admission, person, standing)[1] for _ in range(count)]


def test_beyond_its_cap_a_person_is_admitted_until_the_handshake_tells(
    admission: Admission,
) -> None:
    assert slots(admission, "a", 3, STRANGER) == [Slot.REGULAR, Slot.REGULAR, Slot.PROVISIONAL]
    assert slots(admission, "b", 1, STRANGER) == [Slot.REGULAR]


def test_root_has_no_cap_of_its_own(admission: Admission) -> None:
    assert slots(admission, "0", 5, ROOT) == [Slot.REGULAR] * 5


def test_the_last_connections_are_for_administrators_and_the_trusted(
    admission: Admission,
) -> None:
    for person in ("a", "b", "c"):
        slots(admission, person, 2, STRANGER)
    assert slots(admission, "d", 1, STRANGER) == [Slot.PROVISIONAL]
    assert slots(admission, "e", 1, ADMIN) == [Slot.REGULAR]


def test_a_handshake_proves_that_a_connection_beyond_a_cap_may_stay(
    admission: Admission,
) -> None:
    slots(admission, "a", 2, STRANGER)
    proven, slot = arrive(admission, "a")
    assert slot is Slot.PROVISIONAL
    assert admission.confirm(proven, TRUSTED)
    refused, _ = arrive(admission, "a")
    assert not admission.confirm(refused, STRANGER)


def test_a_person_proves_as_many_again_as_its_cap(admission: Admission) -> None:
    slots(admission, "a", 2, STRANGER)
    proven = [admission.confirm(arrive(admission, "a")[0], TRUSTED) for _ in range(3)]
    assert proven == [True, True, False]


def test_open_handshakes_of_a_person_make_room_for_its_newer_ones(admission: Admission) -> None:
    slots(admission, "a", 2, STRANGER)
    first, second, third = (arrive(admission, "a")[0] for _ in range(3))
    assert (first.aborted, second.aborted, third.aborted) == (True, False, False)


def test_the_person_with_most_open_handshakes_makes_room_for_others(admission: Admission) -> None:
    slots(admission, "a", 2, STRANGER)
    slots(admission, "b", 2, STRANGER)
    mine = [arrive(admission, "a")[0] for _ in range(2)]
    theirs = [arrive(admission, "b")[0] for _ in range(2)]
    assert [each.aborted for each in mine] == [True, False]
    assert not any(each.aborted for each in theirs)


def test_what_ended_is_counted_no_more_and_only_once(admission: Admission) -> None:
    seat, _ = arrive(admission, "a")
    assert len(admission) == 1
    assert admission.remove(seat)
    assert not admission.remove(seat)
    assert len(admission) == 0
    assert admission.slot("a", STRANGER) is Slot.REGULAR
