"""What peers without trust may cost: a bucket for each person, kept over its connections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.transport.quota import limits
from multipassd.transport.quota.limits import KNOWN_WORK, STRANGERS_WORK
from multipassd.transport.quota.work_budget import Account, Accounts


def test_a_person_may_spend_its_burst_and_then_its_share_of_the_time() -> None:
    account = Account("1000", 0.0)
    account.spend(STRANGERS_WORK.burst, 0.0)
    assert not account.solvent(0.0)
    assert account.solvent(0.1)
    account.spend(0.1 * STRANGERS_WORK.share, 0.1)
    assert not account.solvent(0.1)


def test_a_new_connection_finds_the_account_as_the_last_one_left_it() -> None:
    accounts = Accounts()
    accounts.of("1000", 0.0).spend(STRANGERS_WORK.burst, 0.0)
    assert not accounts.of("1000", 0.0).solvent(0.0)
    assert accounts.of("1001", 0.0).solvent(0.0)


def test_control_frames_are_counted_over_connections() -> None:
    accounts = Accounts()
    for _ in range(limits.CONTROL_FRAMES_BURST):
        assert accounts.of("1000", 0.0).take_control_frame(0.0)
    assert not accounts.of("1000", 0.0).take_control_frame(0.0)
    assert accounts.of("1000", 0.0).take_control_frame(1.0)


def test_what_a_trusted_client_cost_is_given_back() -> None:
    account = Account("1000", 0.0)
    account.spend(STRANGERS_WORK.burst, 0.0)
    account.prove(0.0, 0.0)
    for number in range(1000):
        account.spend(0.003, number * 0.001)
        account.prove(0.003, number * 0.001)
        assert account.solvent(number * 0.001)


def test_a_user_with_a_trusted_client_may_cost_more_for_a_day_and_not_without_end() -> None:
    account = Account("1000", 0.0)
    account.prove(0.0, 0.0)
    account.spend(STRANGERS_WORK.burst, 0.0)
    assert account.solvent(0.0) and account.known(limits.KNOWN_FOR - 1)
    account.spend(KNOWN_WORK.burst, 0.0)
    assert not account.solvent(0.0)
    assert not account.known(limits.KNOWN_FOR)


def test_that_an_account_is_empty_is_put_on_record_now_and_then() -> None:
    account = Account("1000", 0.0)
    assert account.report(0.0) and not account.report(limits.REPORT_EVERY - 1)
    assert account.report(limits.REPORT_EVERY)
    assert str(account) == "uid 1000" and str(Account("tcp 192.0.2.1", 0.0)) == "tcp 192.0.2.1"


def test_root_s_account_is_never_empty() -> None:
    account = Account("0", 0.0, exempt=True)
    account.spend(1e6, 0.0)
    assert account.solvent(0.0)


def test_the_table_is_bounded_and_drops_the_person_that_came_longest_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PERSONS", 3)
    accounts = Accounts()
    for person in ("first", "second", "third", "first", "fourth"):
        accounts.of(person, 0.0).spend(STRANGERS_WORK.burst, 0.0)
    assert len(accounts) == 3
    assert not accounts.of("first", 0.0).solvent(0.0)
    assert accounts.of("second", 0.0).solvent(0.0), "forgotten"


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=50))
def test_a_debt_is_worked_off_in_bounded_time(
    steps: list[tuple[float, float]],
) -> None:
    account, now = Account("1000", 0.0), 0.0
    for seconds, elapsed in steps:
        now += elapsed
        account.spend(seconds, now)
    assert account.solvent(now + 1.01 * STRANGERS_WORK.burst / STRANGERS_WORK.share)
