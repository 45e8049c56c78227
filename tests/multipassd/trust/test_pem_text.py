import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multipassd.trust import pem_text
from protocol.certificates import check
from protocol.pem import fingerprint
from tests.multipassd.trust.store_samples import der, pem

NAME = [fingerprint(der(number)) for number in range(8)]
BETWEEN = st.sampled_from([b"", b"\n", b"\r\n", b"\n\n", b"subject=CN = x\n", b"text", b" "])


def without(data: bytes, unwanted: str) -> bytes:
    for change in pem_text.removal(data, {unwanted}, pem_text.Names()):
        end = change.start + len(change.new)
        assert data[change.start : end] == change.old
        data = data[: change.start] + change.new + data[end:]
    return data


def names(data: bytes) -> set[str]:
    return set(pem_text.parse(data, (), check).fingerprints)


@given(st.lists(st.tuples(BETWEEN, st.integers(0, 7), st.booleans()), max_size=8), BETWEEN)
def test_every_certificate_is_found_whatever_stands_between(
    parts: list[tuple[bytes, int, bool]], end: bytes
) -> None:
    data = b""
    for between, number, carriage in parts:
        block = pem(number).rstrip(b"\n")
        data += between + (block.replace(b"\n", b"\r\n") if carriage else block)
    contents = pem_text.parse(data + end, (), check)
    assert contents.fingerprints == {NAME[number] for _, number, _ in parts}
    assert contents.problems == ()
    assert contents.torn is None


@given(st.binary(max_size=300))
def test_no_bytes_upset_the_parser_nor_hide_a_certificate_on_either_side(data: bytes) -> None:
    contents = pem_text.parse(pem(1) + data + b"\n" + pem(2), (), check)
    assert contents.fingerprints >= {NAME[1], NAME[2]}


MARKERS = [b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"-", b"\n", b"QUJD",
           b"-----BEGIN PRIVATE KEY-----", b"-----END PRIVATE KEY-----", b"*"]  # fmt: skip


@given(st.lists(st.sampled_from(MARKERS), max_size=12).map(b"".join))
def test_heaps_of_markers_neither_raise_nor_become_trusted(data: bytes) -> None:
    contents = pem_text.parse(data, (), check)
    assert not contents.fingerprints
    assert contents.blank == (not data.strip())
    assert pem_text.parse(data + b"\n" + pem(1), (), check).fingerprints == {NAME[1]}


@settings(max_examples=300)
@given(st.integers(0, len(pem(1)) - 1))
def test_a_block_cut_anywhere_is_torn_until_its_rest_arrives(cut: int) -> None:
    half, rest = pem(1)[:cut], pem(1)[cut:]
    contents = pem_text.parse(pem(0) + half, (), check)
    whole_but_newline = cut == len(pem(1)) - 1
    assert contents.torn == (None if cut == 0 or whole_but_newline else len(pem(0)))
    assert contents.problems == ()
    assert names(pem(0) + half + rest) == {NAME[0], NAME[1]}


@given(st.lists(st.integers(0, 5), max_size=8), st.integers(0, 5), BETWEEN)
def test_without_takes_out_one_client_and_no_other(
    numbers: list[int], unwanted: int, between: bytes
) -> None:
    data = between.join(pem(number) for number in numbers)
    rest = without(data, NAME[unwanted])
    assert names(rest) == {NAME[number] for number in numbers if number != unwanted}


def test_without_the_last_client_nothing_is_left_but_what_is_broken_stays() -> None:
    assert not without(b"subject=x\n" + pem(1), NAME[1]).strip()
    assert without(b"subject=x\n", NAME[1]) == b"subject=x\n"
    broken = b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"
    assert without(broken + pem(1), NAME[1]).rstrip(b"\n") == broken.rstrip(b"\n")


SECTOR = 512  # a power cut leaves each of them old or new


@settings(max_examples=300)
@given(st.integers(0, 2 * SECTOR), st.data())
def test_a_block_that_a_power_cut_left_half_blank_is_no_certificate(
    before: int, data: st.DataObject
) -> None:
    old = b"#" * before + b"\n" + pem(1) + pem(2) + pem(3)
    new = without(old, NAME[2])
    sectors = range(0, len(old), SECTOR)
    written = data.draw(st.lists(st.booleans(), min_size=len(sectors), max_size=len(sectors)))
    torn = b"".join(
        (new if done else old)[at : at + SECTOR] for at, done in zip(sectors, written, strict=True)
    )
    assert names(torn) == {NAME[1], NAME[3]} | ({NAME[2]} if torn == old else set())
    assert names(without(torn, NAME[1])) == names(torn) - {NAME[1]}


@settings(max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 700), st.booleans(), BETWEEN), max_size=8),
    st.integers(0, 3),
)
def test_a_removal_from_any_heap_of_blocks_and_halves_adds_trust_in_no_other(
    parts: list[tuple[int, int, bool, bytes]], unwanted: int
) -> None:
    data = b""
    for number, cut, first, between in parts:
        data += (pem(number)[:cut] if first else pem(number)[cut:]) + between
    assert names(without(data, NAME[unwanted])) == names(data) - {NAME[unwanted]}


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "not a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", "not a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nQUJD\n", "no end"),
        (b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n", "not a certificate"),
        (b"-----END CERTIFICATE-----\n", "no beginning"),
    ],
)
def test_a_bad_block_is_reported_with_its_line_and_without_its_content(
    bad: bytes, what: str
) -> None:
    contents = pem_text.parse(pem(1) + b"# a note\n" + bad + pem(2), (), check)
    line = pem(1).count(b"\n") + 2
    assert contents.fingerprints == {NAME[1], NAME[2]}
    [problem] = contents.problems
    assert problem.startswith(f"line {line}: ") and what in problem
    assert "QUJD" not in problem


def test_a_file_full_of_rubbish_is_reported_in_bounded_length() -> None:
    data = b"-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n" * 5000
    problems = pem_text.parse(data, (), check).problems
    assert len(problems) == pem_text.MAX_PROBLEMS + 1
    assert problems[-1] == f"and {5000 - pem_text.MAX_PROBLEMS} more problems"


def test_known_certificates_are_not_checked_again() -> None:
    checked: list[bytes] = []
    pem_text.parse(pem(1) + pem(2) + pem(2), {NAME[1]}, checked.append)
    assert checked == [der(2)]
