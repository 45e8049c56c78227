"""Sizes and names: what is accepted, what is not, and how sizes are shown."""

import pytest

from protocol import names, sizes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("1234B", 1234), ("42MiB", 42 << 20), ("0.5G", 1 << 29), ("1.2K", 1228),
        (" 3kb ", 3072), ("7GB", 7 << 30), ("7g", 7 << 30), ("1.000M", 1 << 20),
    ],
)  # fmt: skip
def test_a_size_is_read_in_base_1024(text: str, size: int) -> None:
    assert sizes.parse(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "K", "3.14", "4.2B", ".5g", "42.", "256.M", "6868i", "54Mi", "555iB", "1024MM", "-5MiB",
     "1CiG", "1.23f", "١G", "1 G", "9" * 40],
)  # fmt: skip
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(sizes.SizeError, match="is not a valid memory size"):
        sizes.parse(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (5 << 30, "5.0GiB"), (1 << 41, "2048.0GiB")],
)
def test_a_size_is_shown_in_its_largest_unit(size: int, text: str) -> None:
    assert sizes.human(size) == text


@pytest.mark.parametrize("name", ["a", "primary", "Foo-1", "a--b", "x" * 300])
def test_a_valid_name(name: str) -> None:
    assert names.valid(name)


@pytest.mark.parametrize(
    "name",
    ["", "1nvalid-name", "invalid.name", "invalid$name", "invalid(name)", "invalid-name-",
     "foo_bar", "-a", "ä", "a\n", "a b", "../x"],
)  # fmt: skip
def test_an_invalid_name(name: str) -> None:
    assert not names.valid(name)
