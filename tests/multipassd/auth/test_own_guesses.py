"""The guesses of its own that each person has: how many, for how long, and for how many persons."""

from __future__ import annotations

import pytest

from multipassd.auth import own_guesses
from multipassd.auth.own_guesses import DAY, OWN_GUESSES, OwnGuesses


def used_up(own: OwnGuesses, person: str, now: float = 0.0) -> int:
    taken = 0
    while own.take(person, now):
        taken += 1
    return taken


def test_each_person_has_some_a_day() -> None:
    own = OwnGuesses()
    assert used_up(own, "1000") == used_up(own, "1001") == OWN_GUESSES
    assert used_up(own, "1000", DAY - 1) == 0
    assert used_up(own, "1000", DAY) == OWN_GUESSES


def test_who_knows_the_passphrase_has_all_again() -> None:
    own = OwnGuesses()
    used_up(own, "1000")
    assert own.renew("1000") and not own.renew("1000")
    assert used_up(own, "1000") == OWN_GUESSES


def test_addresses_get_no_more_than_so_many_a_day_and_never_what_users_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_guesses, "MAX_ADDRESSES", 5)
    own = OwnGuesses()
    assert sum(used_up(own, f"tcp 192.0.2.{n}") for n in range(100)) == 5 * OWN_GUESSES
    assert used_up(own, "1000") == OWN_GUESSES
    assert used_up(own, "tcp 192.0.2.200", DAY) == OWN_GUESSES


def test_users_have_so_many_places_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_guesses, "MAX_USERS", 5)
    own = OwnGuesses()
    assert sum(used_up(own, str(n)) for n in range(100)) == 5 * OWN_GUESSES
    assert used_up(own, "tcp 192.0.2.1") == OWN_GUESSES


def test_a_clock_set_back_makes_no_day_longer() -> None:
    own = OwnGuesses({"1000": (OWN_GUESSES, 1e9)})
    assert not own.take("1000", 0.0)
    assert own.take("1000", DAY)
