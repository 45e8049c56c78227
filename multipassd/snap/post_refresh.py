"""post-refresh: run by the new revision, before its service starts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

from multipassd.snap import trustnote
from multipassd.snap.hook import HookFailed
from multipassd.snap.takeover import take_over
from multipassd.system.files import read_regular
from multipassd.trust.state import TrustState

MAX_NOTE = 100


def run(environ: Mapping[str, str]) -> None:
    """Takes over 1.16's settings. A revision that can't read the trust store which the old one
    could read would lock everybody out: it is not let in."""
    if _before(environ) == TrustState.TRUSTING.name:
        state, why = trustnote.state(environ)
        if state is TrustState.DAMAGED:
            raise HookFailed(f"This version can't use the list of trusted clients: {why}")
    if problem := take_over(environ):
        print(problem, file=sys.stderr)  # the service tries again at its start


def _before(environ: Mapping[str, str]) -> str:
    """What pre-refresh noted; empty after 1.16, which notes nothing."""
    note = trustnote.path(environ)
    text = ""
    with suppress(OSError):
        text = read_regular(note, MAX_NOTE).decode("ascii", "replace")
        note.unlink()
    return text
