"""What check says of instances: those that can't be used, and those of Multipass 1.16."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from multipassd.admin.access.locations import Place
from multipassd.admin.findings.report import Report
from multipassd.drivers import machine_files
from multipassd.instances.records import earlier_installation
from multipassd.instances.records.registry import Registry


def look(place: Place, driver: str, report: Report) -> set[str]:
    """`driver`: whose instances these are. Returns their names."""
    machines = place.machines.parent / machine_files.MACHINES[driver]
    registry = Registry(place.data / machine_files.RECORDS[driver], machines)
    registry.read()
    for damaged in registry.damaged.values():
        report.problem(damaged.what, damaged.cure)
    hidden = registry.unlisted()
    if hidden:
        report.problem(hidden, "repair that, then restart the service, which reads it")
    earlier = earlier_installation.warning(place.data, registry.mac_addresses())
    for why in (*registry.strange, earlier):
        if why and why != hidden:
            report.note(why)
    whole = _files(registry, driver, report) and registry.whole
    if whole and registry.names():
        count = len(registry.names())
        report.fine(f"the records of {count} instance{'' if count == 1 else 's'}")
    return {*registry.names(), *registry.damaged}


def _files(registry: Registry, driver: str, report: Report) -> bool:
    """Are the files there that the instances can't start without?"""
    lost: dict[Path, list[str]] = defaultdict(list)
    for name in registry.names():
        if path := machine_files.missing(registry.place(name), driver):
            lost[path].append(name)
    for path, names in lost.items():
        why = f"{path} is missing, without which {', '.join(names)} can't be started"
        report.problem(why, machine_files.cure(*names))
    return not lost
