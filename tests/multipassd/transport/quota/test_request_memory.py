"""Unfinished requests: one person's leave room for others'."""

from __future__ import annotations

from multipassd.transport.quota import limits
from multipassd.transport.quota.request_memory import RequestBuffers, for_strangers, for_trusted


def test_strangers_hold_a_pool_that_the_trusted_never_meet() -> None:
    strangers, trusted = for_strangers(), for_trusted()
    for number in range(100):
        strangers.change(str(number), limits.STRANGERS_SHARE)
    assert strangers.exceeded("1")
    trusted.change("alice", limits.TRUSTED.message)
    assert not trusted.exceeded("alice")


def test_a_person_has_a_share() -> None:
    pool = RequestBuffers(100, 10)
    pool.change("mallory", 11)
    assert pool.exceeded("mallory")
    pool.change("bob", 10)
    assert not pool.exceeded("bob")
    pool.change("mallory", -1)
    assert not pool.exceeded("mallory")


def test_in_a_full_pool_small_requests_are_taken_still() -> None:
    pool = RequestBuffers(100, 60)
    pool.change("mallory", 60)
    pool.change("eve", 40)
    pool.change("bob", 5)
    assert pool.exceeded("mallory") and pool.exceeded("eve")
    assert not pool.exceeded("bob")


def test_nothing_is_kept_of_who_holds_nothing() -> None:
    pool = RequestBuffers(100, 10)
    pool.change("bob", 5)
    pool.change("bob", -5)
    pool.change("eve", 0)
    assert not len(pool) and not pool.total


def test_one_connection_s_streams_fit_into_a_share() -> None:
    assert limits.UNTRUSTED.streams * limits.UNTRUSTED.message <= limits.STRANGERS_SHARE
    assert limits.TRUSTED.message <= limits.TRUSTED_SHARE
