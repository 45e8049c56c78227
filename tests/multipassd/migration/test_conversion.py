"""From 1.16's record to one of this service: cards, snapshots, what terminals show."""

from __future__ import annotations

from pathlib import Path

from multipassd.instances.records.record import Network, Record
from multipassd.migration import conversion
from multipassd.migration.conversion import Disk
from multipassd.migration.formats import OldImage, OldInstance, OldNetwork, OldSnapshot
from multipassd.migration.vault import Entry

CARDS = (
    OldNetwork(id="br0", mac_address="52:54:00:AA:BB:CC", auto_mode=False),
    OldNetwork(id="none0"),
)


def entry(*snapshots: OldSnapshot, head: int = 0) -> Entry:
    instance = OldInstance(num_cores=1, mac_addr="52:54:00:00:00:01", extra_interfaces=CARDS)
    image = OldImage(path="/v/foo/x.img", original_release="a\x1b[2J", id="../etc")
    return Entry("foo", Path("/v"), instance, image, snapshots, head, len(snapshots))


def converted(of: Entry, states: set[str]) -> Record:
    disk = Disk(1 << 30, frozenset(states))
    return conversion.record(of, "foo", disk, {}, "foo", "key", lambda m: None, set(), {"br0"})


def test_a_card_on_a_network_of_this_host_comes_along() -> None:
    record = converted(entry(OldSnapshot(name="a", index=1, extra_interfaces=CARDS)), {"@s1"})
    card = Network(name="br0", mac="52:54:00:aa:bb:cc", configured=False)
    assert record.networks == record.snapshots[0].networks == (card,)


def test_a_ring_of_parents_ends() -> None:
    ring = [OldSnapshot(name=f"s{i}", index=i, parent=3 - i) for i in (1, 2)]
    record = converted(entry(*ring, OldSnapshot(name="c", index=3, parent=1), head=2), {"@s3"})
    assert [(each.index, each.parent) for each in record.snapshots] == [(3, 0)]
    assert record.snapshot_head == 0


def test_what_is_shown_is_fit_for_a_terminal() -> None:
    snapshot = OldSnapshot(name="a", index=1, comment="x\x1b[2J\n" * 5000)
    record = converted(entry(snapshot), {"@s1"})
    assert (record.image.release, record.image.sha256) == ("a?[2J", "")
    assert "\x1b" not in record.snapshots[0].comment and len(record.snapshots[0].comment) == 4096
