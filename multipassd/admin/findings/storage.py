"""What check says of the storage directory: the units that write there must be let, and agree."""

from __future__ import annotations

from pathlib import Path

from multipassd.admin.access import units
from multipassd.admin.access.locations import Place
from multipassd.admin.findings.report import Report
from multipassd.system import storage
from multipassd.system.installation import Installation

MACHINES = "multipass-machines@0.service"  # any instance of the template has its settings
VARIABLE = "MULTIPASS_STORAGE"


def look(place: Place, report: Report) -> None:
    if why := storage.problem(place.data):
        report.problem(why)
    elif place.of_unit and units.manager_runs():
        _sandboxes(place.data.parent, report)
        _machines(place.data.parent, report)


def _sandboxes(directory: Path, report: Report) -> None:
    for template in storage.UNITS:
        strict, paths, states = units.show(
            template.replace("@.", "@0."), "ProtectSystem", "ReadWritePaths", "StateDirectory"
        )
        if strict == "strict" and not lets_write(directory, paths, states):
            report.problem(
                f"the storage directory {directory} is read-only for {template}, as its sandbox "
                "does not name it",
                storage.remedy(directory),
            )
            return


def lets_write(directory: Path, paths: str, states: str) -> bool:
    """Is it in one of ReadWritePaths= or StateDirectory=? Pure."""
    named = [word.lstrip("-+") for word in paths.split()]
    named += [f"/var/lib/{word}" for word in states.split()]
    return any(Path(name) in (directory, *directory.parents) for name in named)


def _machines(directory: Path, report: Report) -> None:
    found = units.environment(MACHINES).get(VARIABLE, str(directory))
    if found != str(directory):
        report.problem(
            f"the instances' units are made for the storage directory {found}, and the service's "
            f"is {directory}",
            f"`sudo systemctl edit {Installation.machines_unit}`, with the lines `[Service]` and "
            f"`Environment={VARIABLE}={directory}`, or the same for `{Installation.daemon_unit}`",
        )
