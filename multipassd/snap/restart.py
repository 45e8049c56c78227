"""connect and disconnect of a plug: what a process may do is settled at its start."""

from __future__ import annotations

from collections.abc import Mapping

from multipassd.snap import snapctl


def run(environ: Mapping[str, str]) -> None:
    if snapctl.service_is_active():
        snapctl.restart_service()
