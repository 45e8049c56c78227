"""Ids of either side stand for at most one of the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.mounts.id_map import NOBODY, IdMap, NoSuchId

IDS = st.one_of(st.integers(0, 20), st.integers(0, 0xFFFFFFFE))
PAIRS = st.lists(
    st.tuples(IDS, IDS), max_size=6, unique_by=(lambda pair: pair[0], lambda pair: pair[1])
)


@given(PAIRS, IDS)
def test_what_is_shown_stands_for_the_same_id_again(
    pairs: list[tuple[int, int]], host: int
) -> None:
    known = IdMap(pairs)
    guest = known.to_guest(host)
    if guest != NOBODY:
        assert known.to_host(guest) == host


@given(PAIRS, IDS)
def test_an_id_of_the_guest_stands_for_one_that_is_shown_so_or_for_none(
    pairs: list[tuple[int, int]], guest: int
) -> None:
    known = IdMap(pairs)
    try:
        assert known.to_guest(known.to_host(guest)) == guest
    except NoSuchId:
        assert guest in {host for host, _ in pairs}


def test_an_id_that_the_guest_uses_for_another_is_nobodys() -> None:
    known = IdMap([(1001, 1000)])
    assert [known.to_guest(each) for each in (1001, 1000, 0, 7)] == [1000, NOBODY, 0, 7]
    assert known.to_host(1000) == 1001
    with pytest.raises(NoSuchId):
        known.to_host(1001)
