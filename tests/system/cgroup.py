"""A control group for each container: systemd-nspawn puts what it boots into `payload` below its
own group, so two that start from one group would mix their units' processes, and stop and count
each other's."""

import os
from contextlib import suppress
from pathlib import Path

# Unified, or the two hierarchies of a hybrid that systemd keeps its own processes in.
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_ENTER = """
for one in $1; do echo $$ >"$one/cgroup.procs"; done
shift
exec "$@"
"""


def entering(name: str) -> list[str]:
    """What runs a command in groups of this name, which are made."""
    made = []
    for mount in _mounts():
        group = mount / name
        with suppress(OSError):  # a machine without them, or read-only: then all share one
            group.mkdir(exist_ok=True)
            made.append(str(group))
    return ["sh", "-c", _ENTER, "sh", " ".join(made)]


def remove(name: str) -> None:
    for mount in _mounts():
        for directory, _, _ in os.walk(mount / name, topdown=False):
            with suppress(OSError):  # a process is still in there
                os.rmdir(directory)


def _mounts() -> list[Path]:
    return [Path(mount) for mount in _MOUNTS if (Path(mount) / "cgroup.procs").exists()]
