"""`--format json` of the verbs: what they print, and errors, as documents for programs."""

from __future__ import annotations

import io
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from multipassd.admin.access.verb import TrustError, Verb

if TYPE_CHECKING:
    from multipassd.admin.access.locations import Place


def running(verb: Verb) -> Callable[[Place, Namespace], int]:
    """The verb, writing one document to standard output when it has ended, also if it has failed
    halfway: what was done until then stands in it."""

    def run(place: Place, options: Namespace) -> int:
        said = io.StringIO()
        try:
            with redirect_stdout(said):
                return verb.run(place, options)
        finally:
            lines = [line for line in said.getvalue().splitlines() if line]
            print(json.dumps({**options.document, "said": lines}, indent=4))

    return run


def complain(error: TrustError) -> None:
    """One line on standard error, the last there."""
    document = {"problem": error.problem, "next": error.cure, "kind": error.kind}
    print(json.dumps({"error": document}), file=sys.stderr)
