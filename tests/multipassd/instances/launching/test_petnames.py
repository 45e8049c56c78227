"""Names for instances that were given none."""

from __future__ import annotations

from itertools import product

from multipassd.instances.launching.petnames import ADJECTIVES, ANIMALS, generate
from protocol import names

PAIRS = {f"{adjective}-{animal}" for adjective, animal in product(ADJECTIVES, ANIMALS)}


def test_each_pair_is_a_valid_name_and_there_are_enough_of_them() -> None:
    assert all(names.valid(name) for name in PAIRS)
    assert len(PAIRS) == len(ADJECTIVES) * len(ANIMALS) > 10_000, "no word is there twice"


def test_a_name_that_is_taken_is_not_given_again() -> None:
    taken: set[str] = set()
    for _ in range(300):
        name = generate(taken)
        assert name in PAIRS - taken
        taken.add(name)


def test_a_number_is_added_when_all_are_taken() -> None:
    second = generate(PAIRS)
    assert second.removesuffix("-2") in PAIRS and names.valid(second)
    third = generate(PAIRS | {f"{name}-2" for name in PAIRS})
    assert third.removesuffix("-3") in PAIRS and names.valid(third)
