"""What ends when trust does: pure decisions, with doubles for the store, the key and the host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import cast

import pytest

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access import departures
from multipassd.guest_access.departures import CLOSED_SECONDS, Departures
from multipassd.guest_access.holders import FILE, Holders
from multipassd.guest_access.rotation import KeyRotation
from multipassd.guest_access.sessions import Sessions
from multipassd.trust.client_record import ClientRecord
from multipassd.trust.state import Holders as Trusted
from multipassd.trust.state import TrustState
from protocol.errors import StorageFailed
from protocol.roles import Role

BOB, CAROL, NEW = ("b" * 64, "c" * 64, "e" * 64)
ALL = frozenset({BOB, CAROL})


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Store:
    state = TrustState.TRUSTING
    holders = Trusted(admins=ALL)
    in_doubt: frozenset[str] = frozenset()
    uids: Mapping[str, int] = {}
    names: Mapping[str, str] = {}

    def hidden(self) -> list[ClientRecord]:
        return [ClientRecord(who) for who in self.in_doubt]

    def role_of(self, fingerprint: str) -> Role | None:
        return self.holders.role_of(fingerprint)

    def records(self) -> list[ClientRecord]:
        return [
            ClientRecord(
                who, self.names.get(who, ""), uid=self.uids.get(who), role=self.role_of(who)
            )
            for who in self.holders.everyone
        ]


class Host:
    """In place of sessions and rotation."""

    def __init__(self, key: ServiceKey) -> None:
        self.closed: list[tuple[set[int], set[int]]] = []
        self.why = ""
        self.full = False
        self.spared = frozenset({0})
        self._key = key

    async def close(self, uids: Iterable[int], once: Iterable[int], seconds: int) -> str:
        assert seconds == CLOSED_SECONDS
        self.closed.append((set(uids), set(once)))
        return self.why

    async def rotate(self) -> None:
        if self.full:
            raise StorageFailed("No space left")
        self._key.rotate()


class Case:
    def __init__(self, place: Path) -> None:
        self.store, self.key = Store(), ServiceKey(place)
        self.host = Host(self.key)
        self.known = Holders(place / FILE, self.key)
        self.known.load([])
        assert self.key.public
        self.again()

    def again(self) -> None:
        """As after a start of the daemon."""
        self.departures = Departures(
            self.store, self.known, self.key,
            cast(KeyRotation, self.host), cast(Sessions, self.host),
        )  # fmt: skip

    def trust(self, **files: Iterable[str]) -> None:
        self.store.holders = Trusted(**{role: frozenset(who) for role, who in files.items()})

    def look(self) -> None:
        self._await(self.departures.look)

    def departures_end(self, name: str) -> None:
        self._await(lambda: self.departures.end_log_ins(name))

    def _await(self, work: Callable[[], None]) -> None:
        async def once() -> None:
            work()
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)
                await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

        asyncio.run(once())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(departures, "time", made)
    return made


@pytest.fixture
def case(tmp_path: Path, clock: Clock) -> Case:
    made = Case(tmp_path)
    made.known.note(BOB, 1001, "")
    made.known.note(CAROL, 1002, "")
    made.look()
    assert made.host.closed == [] and made.key.name == ""
    return made


def test_the_key_is_replaced_once_and_guests_are_closed_until_no_certificate_is_good(
    case: Case, clock: Clock
) -> None:
    case.trust(admins={CAROL})
    case.look()
    case.look()
    assert case.host.closed == [({1001}, {1001})]
    assert case.key.name == "id_ed25519.rotation-2"
    clock.now += CLOSED_SECONDS
    case.look()
    assert case.host.closed[1:] == [(set(), set())]
    assert {who for who, _ in case.known} == {CAROL}
    case.trust(admins=set())
    case.look()
    assert case.key.name == "id_ed25519.rotation-2", "carol does not hold that one"


def test_the_rule_is_renewed_as_it_may_have_been_flushed(case: Case, clock: Clock) -> None:
    case.trust(admins={CAROL})
    case.look()
    clock.now += departures.RENEWAL_SECONDS
    case.look()
    case.look()
    assert case.host.closed == [({1001}, {1001}), ({1001}, set())]


def test_a_later_daemon_goes_on(case: Case) -> None:
    case.trust(admins={CAROL})
    case.again()
    case.look()
    assert case.host.closed == [({1001}, {1001})] and case.key.name
    case.again()
    case.look()
    assert case.host.closed[1:] == [({1001}, {1001})]
    assert case.key.name == "id_ed25519.rotation-2"


def test_a_store_that_is_in_doubt_ends_nothing(case: Case) -> None:
    case.trust(admins=set())
    case.store.state = TrustState.DAMAGED
    case.look()
    case.store.state, case.store.in_doubt = TrustState.TRUSTING, ALL
    case.look()
    assert not any(uids for uids, _ in case.host.closed) and case.key.name == ""


def test_while_a_file_is_in_doubt_the_access_of_those_who_were_removed_ends(case: Case) -> None:
    case.store.in_doubt = frozenset({CAROL})
    case.trust(admins=set())
    case.look()
    assert case.host.closed == [({1001}, {1001})] and case.key.name


def test_a_client_that_is_trusted_again_is_shut_out_no_longer(case: Case) -> None:
    case.trust(admins={CAROL})
    case.look()
    case.trust(admins={CAROL, BOB})
    case.look()
    assert case.host.closed[-1] == (set(), set())


def test_a_lesser_role_ends_what_it_has_not(case: Case) -> None:
    case.trust(admins={CAROL}, viewers={BOB})
    case.look()
    assert case.host.closed == [({1001}, {1001})] and case.key.name == "id_ed25519.rotation-2"
    case.trust(users={CAROL}, viewers={BOB})
    case.look()
    assert case.host.closed[-1] == ({1001}, {1002})
    assert case.key.name == "id_ed25519.rotation-2", "carol does not hold that one"


def test_a_user_keeps_no_key_that_opens_all_and_logs_in_to_its_own_again(case: Case) -> None:
    case.trust(admins={CAROL}, users={BOB})
    case.look()
    assert case.host.closed == [(set(), {1001})] and case.key.name
    case.again()
    case.look()
    assert len(case.host.closed) == 1


def test_log_ins_of_a_uid_that_another_client_has_too_end_once(case: Case) -> None:
    case.store.uids = {CAROL: 1001}
    case.trust(admins={CAROL})
    case.look()
    assert case.host.closed == [(set(), {1001})]


def test_log_ins_of_a_user_end_once_where_an_instance_gets_another_owner(case: Case) -> None:
    case.store.names = {BOB: "bob", CAROL: "carol"}
    case.trust(users={BOB}, admins={CAROL})
    case.look()
    before = len(case.host.closed)
    for name in ("carol", "dave", "bob"):
        case.departures_end(name)
    assert case.host.closed[before:] == [(set(), {1001})]


def test_a_renewed_certificate_is_no_departure(case: Case) -> None:
    case.known.note_renewal(BOB, NEW)
    case.trust(admins={NEW, CAROL})
    case.look()
    assert case.host.closed == [] and case.key.name == ""
    case.trust(admins={CAROL})
    case.look()
    assert case.host.closed == [({1001}, {1001})] and case.key.name


def test_what_fails_is_tried_again(case: Case, clock: Clock) -> None:
    case.host.full, case.host.why = True, "nft is not installed."
    case.trust(admins={CAROL})
    case.look()
    assert case.key.name == ""
    clock.now += departures.AGAIN_SECONDS
    case.look()
    assert case.host.closed == 2 * [({1001}, {1001})], "no rule keeps them out"
    case.host.full, case.host.why = False, ""
    clock.now += departures.RETRY_SECONDS
    case.look()
    assert case.key.name == "id_ed25519.rotation-2"
