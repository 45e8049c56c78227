"""What check says of a root certificate that was renewed: who has to do something, until when."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

from multipassd.admin.access.locations import Place
from multipassd.admin.findings.report import Report
from multipassd.certificates import certificate_checks, server_certificate
from multipassd.system.files import read_regular

REMEMBERED = timedelta(days=365)  # after its end: a machine may have been off for long


def look(place: Place, report: Report) -> None:
    path = place.data / "certificates" / server_certificate.FORMER_ROOT
    with suppress(OSError, ValueError):
        ends = certificate_checks.pem_not_after(read_regular(path, server_certificate.MAX_FILE))
        now = datetime.now(UTC)
        if now < ends + REMEMBERED:
            report.note(_renewed(place, ends, now))


def _renewed(place: Place, ends: datetime, now: datetime) -> str:
    verb = "verify the service until" if now < ends else "do not verify the service since"
    return (
        f"the root certificate was renewed. Copies of the former one {verb} {ends:%Y-%m-%d}: "
        "this project's clients follow by themselves, also on other machines; for each client of "
        f"Multipass 1.16 on another machine, copy {place.root_certificate} to the place of its copy"
    )
