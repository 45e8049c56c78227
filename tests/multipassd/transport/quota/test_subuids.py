from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from multipassd.transport.quota.subuids import SubordinateUids


def test_a_uid_inside_a_range_is_charged_to_its_owner() -> None:
    uids = SubordinateUids.parse("1000:100000:65536\n1001:165536:65536\n")
    assert uids.charge(100000) == 1000
    assert uids.charge(165535) == 1000
    assert uids.charge(165536) == 1001
    assert uids.charge(231071) == 1001
    for own in (0, 1000, 99999, 231072):
        assert uids.charge(own) == own


def test_names_are_looked_up_when_the_file_is_read() -> None:
    uids = SubordinateUids.parse("daemon:100000:10\nnobody-of-that-name:200000:10\n")
    assert uids.charge(100005) == 1
    assert uids.charge(200005) == 200005


def test_what_root_lent_out_is_not_charged_to_root() -> None:
    uids = SubordinateUids.parse("root:100000:65536\n")
    assert uids.charge(100005) == uids.charge(100006) == 100000


def test_malformed_lines_are_left_out() -> None:
    text = (
        "\n# x\n1000:100000\n1000:a:b\n1000:-5:10\n1000:0:10\n1000:5:0\n1000:99999999999:1\nx\0:1:1"
    )
    assert all(SubordinateUids.parse(text).charge(uid) == uid for uid in range(20))


def test_where_ranges_overlap_the_first_answers() -> None:
    uids = SubordinateUids.parse("1000:100:100\n1001:150:10\n1002:190:20\n")
    assert [uids.charge(uid) for uid in (155, 160, 199, 200, 209, 210)] == [
        1000,
        1000,
        1000,
        1002,
        1002,
        210,
    ]


def test_a_missing_file_lends_nothing(tmp_path: Path) -> None:
    assert SubordinateUids.load(tmp_path / "subuid").charge(100000) == 100000


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_bytes(b"\xff\n1000:100000:65536\n")
    assert SubordinateUids.load(tmp_path / "subuid").charge(100000) == 1000


@given(st.text(alphabet="019:\n# a"), st.integers(0, 2**32 - 1))
def test_any_text_yields_a_uid(text: str, uid: int) -> None:
    assert SubordinateUids.parse(text).charge(uid) >= 0
