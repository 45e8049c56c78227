"""What check says of instances: those that are damaged, and those of Multipass 1.16."""

from __future__ import annotations

from multipassd.admin.access.locations import Place
from multipassd.admin.findings.report import Report
from multipassd.instances.records import earlier_installation
from multipassd.instances.records.registry import Registry


def look(place: Place, report: Report) -> None:
    registry = Registry(place.data / "instances", place.machines)
    registry.read()
    for damaged in registry.damaged.values():
        report.problem(damaged.what, damaged.cure)
    for why in (*registry.strange, earlier_installation.warning(place.data)):
        if why:
            report.note(why)
    if registry.whole and registry.names():
        count = len(registry.names())
        report.fine(f"the records of {count} instance{'' if count == 1 else 's'}")
