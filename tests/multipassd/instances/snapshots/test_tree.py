"""The snapshots in a record, by property: whatever is taken, dropped and returned to, they are a
forest, and what descends from what stays true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.instances.records.record import Network, Record, Snapshot
from multipassd.instances.snapshots import tree
from multipassd.instances.states.errors import NoSuchSnapshot, SnapshotExists, SnapshotRefused
from tools import records

# What is done, and to which of the snapshots that there are.
STEPS = st.lists(
    st.tuples(st.sampled_from(("take", "drop", "return")), st.integers(0, 20)), max_size=30
)


def take(record: Record, name: str = "", comment: str = "") -> Record:
    tag = f"tag{record.snapshots_taken}"
    return tree.added(record, tree.new(record, name, comment, tag=tag, created=1.0))


def ancestors(record: Record, index: int) -> list[int]:
    """From its parent on."""
    parents = {each.index: each.parent for each in record.snapshots}
    found: list[int] = []
    while index := parents.get(index, 0):
        assert index not in found, "a cycle"
        found.append(index)
    return found


def chosen(record: Record, number: int) -> Snapshot | None:
    return record.snapshots[number % len(record.snapshots)] if record.snapshots else None


def follow(record: Record, step: str, number: int) -> Record:
    snapshot = chosen(record, number)
    if step == "take":
        return take(record)
    if snapshot is None:
        return record
    return tree.without(record, snapshot) if step == "drop" else tree.returned(record, snapshot, ())


@given(STEPS)
def test_parents_and_head_are_snapshots_that_are_there(steps: list[tuple[str, int]]) -> None:
    record = records.make("foo")
    for step, number in steps:
        record = follow(record, step, number)
        known = {each.index for each in record.snapshots}
        assert {each.parent for each in record.snapshots} <= known | {0}
        assert record.snapshot_head in known | {0}
        assert len(known) == len(record.snapshots) == len({e.name for e in record.snapshots})
        for each in record.snapshots:
            ancestors(record, each.index)
            for child in tree.children(record, each):
                assert tree.parent(record, tree.find(record, child)) == each.name


@given(STEPS, st.integers(0, 20))
def test_dropping_one_takes_it_out_of_each_line_of_descent_and_changes_nothing_else(
    steps: list[tuple[str, int]], number: int
) -> None:
    record = records.make("foo")
    for step in steps:
        record = follow(record, *step)
    gone = chosen(record, number)
    if gone is None:
        return
    after = tree.without(record, gone)
    for each in after.snapshots:
        before = [index for index in ancestors(record, each.index) if index != gone.index]
        assert ancestors(after, each.index) == before
    line = [record.snapshot_head, *ancestors(record, record.snapshot_head)]
    left = [index for index in line if index not in (0, gone.index)]
    now = [after.snapshot_head, *ancestors(after, after.snapshot_head)]
    assert [index for index in now if index] == left


@given(STEPS)
def test_a_number_is_never_used_twice(steps: list[tuple[str, int]]) -> None:
    record, used = records.make("foo"), set[int]()
    for step, number in steps:
        before = {each.index for each in record.snapshots}
        record = follow(record, step, number)
        for index in {each.index for each in record.snapshots} - before:
            assert index not in used
            used.add(index)
    assert record.snapshots_taken == len(used)


def test_default_names_count_those_that_were_deleted_and_avoid_names_that_are_taken() -> None:
    record = take(take(records.make("foo")))
    record = tree.without(record, record.snapshots[1])
    record = take(record, "snapshot4")
    assert [each.name for each in record.snapshots] == ["snapshot1", "snapshot4"]
    record = take(record)
    assert record.snapshots[-1].name == "snapshot5"
    assert (record.snapshots[-1].index, record.snapshots[-1].parent) == (4, 3)


def test_a_state_is_returned_to_with_all_that_it_had() -> None:
    network = Network(name="eth9", mac="52:54:00:aa:aa:aa")
    before = records.make("foo", cpus=1, memory=1 << 30, disk=1 << 30, ssh_authority="first")
    record = take(before)
    fields = {"cpus": 4, "memory": 2 << 30, "disk": 3 << 30, "networks": (network,)}
    record = record.replace(**fields, ssh_authority="second")
    record = tree.returned(record, record.snapshots[0], ())
    assert record == take(before)


@pytest.mark.parametrize("name", ["1a", "a b", "a.b", "a_b", "-", "a-", "a" * 64, "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(SnapshotRefused) as refused:
        take(records.make("foo"), name)
    assert refused.value.message == f'Invalid snapshot name: "{name}".'


def test_a_name_is_used_once() -> None:
    record = take(records.make("foo"), "one")
    with pytest.raises(SnapshotExists, match=r"^Snapshot already exists: foo\.one$"):
        take(record, "one")
    record = take(record, "two")
    with pytest.raises(SnapshotExists, match=r"^Snapshot already exists: foo\.one$"):
        tree.changed(record, record.snapshots[1], name="one")
    assert tree.changed(record, record.snapshots[0], name="one") == record
    with pytest.raises(NoSuchSnapshot, match=r"^No such snapshot: foo\.three$"):
        tree.find(record, "three")


def test_a_name_that_was_given_away_while_a_snapshot_was_taken_is_not_given_twice() -> None:
    record = take(records.make("foo"), "one")
    taken = tree.new(record, "two", "", tag="tag", created=1.0)
    renamed = tree.changed(record, record.snapshots[0], name="two")
    with pytest.raises(SnapshotExists):
        tree.added(renamed, taken)


def test_there_are_limits() -> None:
    record = records.make("foo", snapshots_taken=tree.MAX_INDEX)
    with pytest.raises(SnapshotRefused, match="^Maximum number of snapshots exceeded: 9999$"):
        take(record)
    take(records.make("foo"), comment="é\n\t" * 1000)
    for comment in ("a" * (tree.MAX_COMMENT + 1), "\x1b[2J", "a\rb", "\x9b"):
        with pytest.raises(SnapshotRefused):
            take(records.make("foo"), comment=comment)
