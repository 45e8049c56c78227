"""What check says of the cluster that instances are on, where the driver has one."""

from __future__ import annotations

from collections.abc import Iterable

from multipassd.admin.findings.report import Report
from multipassd.drivers.finding import Finding, Level


def look(found: Iterable[Finding], report: Report) -> None:
    for each in found:
        match each.level:
            case Level.FINE:
                report.fine(each.text)
            case Level.NOTE:
                report.note(each.text)
            case Level.PROBLEM:
                report.problem(each.text, each.cure, each.command)
