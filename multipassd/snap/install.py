"""install: a fresh installation has no earlier settings, and no later revision is to find any."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from multipassd.snap.takeover import take_over


def run(environ: Mapping[str, str]) -> None:
    if problem := take_over(environ):
        print(problem, file=sys.stderr)  # the service tries again at its start
