"""The program behind all hooks: `multipass-snap-hook NAME`."""

from __future__ import annotations

import os
import sys

from multipassd.snap.hooks import HOOKS
from multipassd.snap.snapctl import HookFailed


def main(arguments: list[str]) -> int:
    """The exit code: 0, 1 with a sentence on stderr, 2 for bad usage."""
    if len(arguments) != 1 or arguments[0] not in HOOKS:
        print(f"usage: multipass-snap-hook {'|'.join(HOOKS)}", file=sys.stderr)
        return 2
    os.umask(0o077)
    try:
        HOOKS[arguments[0]](os.environ)
    except HookFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0
