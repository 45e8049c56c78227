"""Records that another program puts there are taken up while the service runs."""

from __future__ import annotations

import os
from pathlib import Path

from multipassd.instances.records.arrivals import Arrivals
from multipassd.instances.records.registry import Registry
from tools import records
from tools.sandbox import Sandbox


def test_new_ones_are_read_once_and_what_is_no_record_is_passed_over(sandbox: Sandbox) -> None:
    records.put(sandbox, records.make("foo", 1))
    registry = records.registry(sandbox)
    registry.load()
    arrivals = Arrivals(registry)
    assert arrivals.read(()) == []
    records.put(sandbox, records.make("bar", 2))
    (sandbox.data / "instances/bad.json").write_text("{")
    (sandbox.data / "instances/other.json").write_text(
        (sandbox.data / "instances/foo.json").read_text()
    )
    assert arrivals.read({"bar"}) == []  # a launch has taken the name
    assert [record.name for record in arrivals.read(())] == ["bar"]
    assert arrivals.read(()) == [] and registry.names() == ["bar", "foo"]


def test_a_directory_that_has_not_changed_is_not_read_again(sandbox: Sandbox) -> None:
    records.put(sandbox, records.make("foo", 1))
    place = sandbox.data / "instances"
    os.utime(place, (1, 1))
    registry = Registry(place, Path("/no/such"))
    arrivals = Arrivals(registry)
    assert [record.name for record in arrivals.read(())] == ["foo"]
    registry.forget("foo")
    assert arrivals.read(()) == []
