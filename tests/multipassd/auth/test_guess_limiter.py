from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.auth import guess_file, guess_limiter
from multipassd.auth.guess_limiter import (
    BURST,
    LONGEST_DELAY,
    LONGEST_WAIT,
    SECONDS_A_TOKEN,
    Guesses,
)
from multipassd.auth.own_guesses import OWN_GUESSES
from protocol.errors import TooManyGuesses
from protocol.status import Status


def has_none_of_its_own(limits: Guesses, *persons: str, now: float = 0.0) -> None:
    """As after that many wrong ones, without the delays of those."""
    for person in persons:
        while limits._own.take(person, now):
            pass


def spend_all(limits: Guesses, now: float = 0.0) -> None:
    for number in range(BURST):
        person = f"spender {number}"
        has_none_of_its_own(limits, person, now=now)
        limits.admit(person, False, now)


def test_wrong_guesses_of_one_user_wait_longer_each_time_up_to_the_cap() -> None:
    limits, now, waits = Guesses(now=0.0), 0.0, []
    for _ in range(8):
        wait = limits.admit("1000", True, now)
        limits.failed("1000", now + wait)
        waits.append(wait)
        now += wait
    assert waits == [0, 1, 2, 4, 8, 16, 30, 30]


def test_guesses_at_once_queue_one_behind_the_other_and_too_many_are_refused() -> None:
    limits = Guesses(now=0.0)
    assert [limits.admit("1000", False, 0.0) for _ in range(5)] == [0, 1, 3, 7, 15]
    with pytest.raises(TooManyGuesses, match=r"try again in 1 second\."):
        limits.admit("1000", False, 0.0)
    assert limits.tokens(0.0) == BURST - (5 - OWN_GUESSES)  # the refused one took nothing


def test_whoever_guessed_wrong_nothing_is_taken_from_a_person_who_did_not() -> None:
    limits = Guesses(now=0.0)
    spend_all(limits)
    assert limits.admit("honest", False, 0.0) == 0
    limits.failed("honest", 0.0)
    assert limits.admit("honest", False, 1.0) == 0, "after a typing error, too"
    limits.succeeded("honest", 1.0)
    assert limits.tokens(1.0) < 1


def test_an_empty_bucket_refuses_who_has_no_guess_of_its_own_and_promises_no_time() -> None:
    limits = Guesses(now=0.0)
    spend_all(limits)
    has_none_of_its_own(limits, "new", "newer")
    with pytest.raises(TooManyGuesses, match="few passphrases while others guess") as caught:
        limits.admit("new", False, 0.0)
    assert "sudo multipass-trust add --user NAME" in caught.value.message
    assert "second" not in caught.value.message
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert limits.admit("new", False, SECONDS_A_TOKEN) == 0
    with pytest.raises(TooManyGuesses):
        limits.admit("newer", False, SECONDS_A_TOKEN)


def test_root_and_trusted_clients_are_not_touched_by_others_guesses() -> None:
    limits = Guesses(now=0.0)
    spend_all(limits)
    assert limits.admit("0", True, 0.0) == 0
    assert limits.admit("0", True, 0.0) == 1


def test_a_right_guess_gives_its_token_back_and_ends_the_delay() -> None:
    limits = Guesses(now=0.0)
    has_none_of_its_own(limits, "1000")
    for _ in range(3):
        limits.admit("1000", False, 0.0)
        limits.failed("1000", 0.0)
    limits.admit("1000", False, 10.0)
    before = limits.tokens(10.0)
    limits.succeeded("1000", 10.0)
    assert limits.tokens(10.0) == min(BURST, before + 1)
    assert limits.admit("1000", False, 10.0) == 0


def test_success_of_a_privileged_client_mints_no_tokens() -> None:
    limits = Guesses(now=0.0)
    spend_all(limits)
    limits.admit("0", True, 0.0)
    limits.succeeded("0", 0.0)
    limits.succeeded("unknown", 0.0)
    assert limits.tokens(0.0) == 0


def test_a_delay_is_forgotten_after_a_while() -> None:
    limits = Guesses(now=0.0)
    for _ in range(4):
        limits.admit("1000", True, 0.0)
    assert limits.admit("1000", True, guess_limiter.FORGET_AFTER + 1) == 0
    assert limits.admit("1000", True, guess_limiter.FORGET_AFTER + 1) == 1


def test_the_table_is_bounded_and_evicts_the_oldest() -> None:
    limits = Guesses(now=0.0)
    for number in range(guess_limiter.MAX_GUESSERS + 10):
        limits.admit(str(number), True, 0.0)
    assert len(limits) == guess_limiter.MAX_GUESSERS
    assert limits.admit("0", True, 0.0) == 0
    assert limits.admit(str(guess_limiter.MAX_GUESSERS), True, 0.0) == 1


def test_a_clock_set_back_locks_nobody_out_for_long() -> None:
    limits = Guesses(now=1e9)
    limits.admit("1000", True, 1e9)
    limits.admit("1000", True, 1e9)
    with pytest.raises(TooManyGuesses, match="in 30 seconds"):
        limits.admit("1000", True, 0.0)
    assert limits.admit("1000", True, LONGEST_WAIT) <= LONGEST_WAIT


def test_restarting_gains_no_guesses(tmp_path: Path) -> None:
    path = tmp_path / "guesses.json"
    spend_all(Guesses(path, now=1000.0), 1000.0)
    assert path.stat().st_mode & 0o777 == 0o600
    again = Guesses(path, now=1000.0)
    for person in ("spender 0", "x"):
        has_none_of_its_own(again, person, now=1000.0)
    with pytest.raises(TooManyGuesses):
        again.admit("x", False, 1000.0)
    assert Guesses(path, now=1000.0 + 3 * SECONDS_A_TOKEN).tokens(1018.0) == pytest.approx(3)
    assert Guesses(path, now=0.0).tokens(0.0) == 0  # the clock set back refills nothing
    assert Guesses(path, now=1e12).tokens(1e12) == BURST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"[1]",
        b"null",
        b"\xff",
        b'{"tokens": 1e999, "at": 0}',
        b"[" * 4000,
        b'{"tokens": 9, "at": 5, "own": []}',
        b'{"tokens": 9, "at": 5, "own": {"1000": 3}}',
        b'{"tokens": 9, "at": 5, "own": {"1000": [1e999, 0]}}',
        b'{"tokens": 9, "at": 5, "own": {"1000": [1, 1e999]}}',
    ],
)
def test_a_file_that_makes_no_sense_is_an_empty_bucket(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "guesses.json"
    path.write_bytes(data)
    limits = Guesses(path, now=5.0)
    assert limits.tokens(5.0) == 0
    assert limits.tokens(5.0 + BURST * SECONDS_A_TOKEN) == BURST


def test_no_file_is_a_full_bucket_and_a_symbolic_link_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "guesses.json"
    assert Guesses(path, now=5.0).tokens(5.0) == BURST
    path.symlink_to(tmp_path / "elsewhere")
    assert Guesses(path, now=5.0).tokens(5.0) == 0


def test_restarting_gives_a_person_no_more_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "guesses.json"
    first = Guesses(path, now=0.0)
    first.admit("1000", False, 0.0)
    spend_all(first)
    again = Guesses(path, now=0.0)
    for number in range(OWN_GUESSES - 1):
        again.admit("1000", False, 100.0 * number)
    spend_all(again, 200.0)
    with pytest.raises(TooManyGuesses):
        again.admit("1000", False, 200.0)


def test_a_file_of_the_version_before_is_read(tmp_path: Path) -> None:
    path = tmp_path / "guesses.json"
    path.write_text('{"tokens": 4.0, "at": 5.0}')
    limits = Guesses(path, now=5.0)
    assert limits.tokens(5.0) == 4
    assert limits.admit("1000", False, 5.0) == 0


def test_a_disk_that_refuses_stops_no_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(guess_file, "write_atomically", full)
    limits = Guesses(tmp_path / "guesses.json", now=0.0)
    spend_all(limits)
    assert limits.tokens(0.0) == 0


events = st.lists(
    st.tuples(
        st.sampled_from(["admit", "failed", "succeeded"]),
        st.sampled_from(["a", "b", "c"]),
        st.booleans(),
        st.floats(-100, 100),
    ),
    max_size=60,
)


@given(events)
def test_bucket_and_waits_stay_within_bounds_whatever_happens(
    steps: list[tuple[str, str, bool, float]],
) -> None:
    limits, now = Guesses(now=0.0), 0.0
    for what, who, privileged, elapsed in steps:
        now += elapsed
        if what == "admit":
            try:
                assert 0 <= limits.admit(who, privileged, now) <= LONGEST_WAIT
            except TooManyGuesses as error:
                assert (
                    int(error.message.split()[-2]) <= LONGEST_WAIT + LONGEST_DELAY + 1
                )  # rounded up
        else:
            getattr(limits, what)(who, now)
        assert 0 <= limits.tokens(now) <= BURST
