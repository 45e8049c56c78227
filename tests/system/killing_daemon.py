"""The daemon, killed by `kill -9` before a change of the trust store that a test chooses.

It is run in the place of bin/multipassd. Changes are counted from the moment on in which the file
KILL_ARMED exists, which holds the number of the one that never happens. Only the standard library
is used here, as the daemon chooses its own paths.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

STORE, ARMED = os.environ["KILL_STORE"], os.environ["KILL_ARMED"]
PROGRAM = os.environ["KILL_PROGRAM"]
# By descriptor, and by the path that appears, changes or goes.
OF_DESCRIPTOR = ("write", "pwrite", "ftruncate")
OF_PATH = {"replace": 1, "rename": 1, "link": 1, "unlink": 0}  # which argument is the path

_count = 0
_lock = threading.Lock()


def _changes() -> None:
    global _count
    with _lock:
        try:
            with open(ARMED, encoding="ascii") as file:
                chosen = int(file.read())
        except FileNotFoundError:
            return
        _count += 1
        if _count == chosen:
            os.kill(os.getpid(), signal.SIGKILL)


def _of_descriptor(original: Callable[..., Any]) -> Callable[..., Any]:
    def step(descriptor: int, *arguments: Any) -> Any:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(STORE):
            _changes()
        return original(descriptor, *arguments)

    return step


def _of_path(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    def step(*arguments: Any, **more: Any) -> Any:
        if os.path.abspath(os.fsdecode(arguments[position])).startswith(STORE):
            _changes()
        return original(*arguments, **more)

    return step


for _name in OF_DESCRIPTOR:
    setattr(os, _name, _of_descriptor(getattr(os, _name)))
for _name, _position in OF_PATH.items():
    setattr(os, _name, _of_path(getattr(os, _name), _position))

sys.argv[0] = PROGRAM
runpy.run_path(PROGRAM, run_name="__main__")
