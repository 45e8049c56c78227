"""The line of an invitation: what is not whole is never taken for a line."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import invitation_line
from protocol.invitation_line import LONGEST_REST, BadLine, pin_of, secret_of, with_pin

SECRETS, KEYS = st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=100)
PRINTABLE = string.digits + string.ascii_letters + "-."


@given(SECRETS, KEYS)
def test_a_line_has_its_secret_and_its_server_and_one_of_an_earlier_release_no_server(
    secret: bytes, key: bytes
) -> None:
    bare = invitation_line.make(secret)
    whole = with_pin(bare, key)
    assert secret_of(whole) == secret_of(bare) == secret_of(f" {whole}\n")
    assert pin_of(whole) == invitation_line.pin(key) and pin_of(bare) == ""
    assert invitation_line.is_line(whole) and len(whole) == 93


@given(SECRETS, KEYS, st.integers(0, 92), st.sampled_from(PRINTABLE))
def test_a_slip_in_any_place_and_a_missing_end_are_noticed(
    secret: bytes, key: bytes, place: int, character: str
) -> None:
    whole = with_pin(invitation_line.make(secret), key)
    if whole[place] != character:
        with pytest.raises(BadLine):
            pin_of(whole[:place] + character + whole[place + 1 :])
    if whole[:place] != whole.partition(".")[0]:
        with pytest.raises(BadLine):
            pin_of(whole[:place])


@given(SECRETS, SECRETS, KEYS)
def test_halves_of_two_lines_make_none(first: bytes, other: bytes, key: bytes) -> None:
    lines = [with_pin(invitation_line.make(secret), key) for secret in (first, other)]
    mixed = f"{lines[0].partition('.')[0]}.{lines[1].partition('.')[2]}"
    if first != other:
        with pytest.raises(BadLine):
            pin_of(mixed)
    assert secret_of(mixed) == secret_of(lines[0]), "a service looks at what is before the dot"


def test_what_a_later_release_says_behind_the_dot_is_for_its_clients() -> None:
    bare = invitation_line.make(bytes(16))
    assert secret_of(f"{bare}.something-else/2")
    for rest in (" x", "\u00e9", "x" * (LONGEST_REST + 1)):
        with pytest.raises(BadLine):
            secret_of(f"{bare}.{rest}")
