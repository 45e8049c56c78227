"""remove: nothing. snapd itself stops the service and keeps or purges the data."""

from __future__ import annotations

from collections.abc import Mapping


def run(environ: Mapping[str, str]) -> None:
    return
