"""Own modules that are loaded after the start: only as they were then, so that no update of the
files mixes two versions in one process.

The service loads what a start and a `list` need, and the rest when it is first needed. A package
replaces the files under a service that runs. Before it does, it has the service load what is
missing (`load_rest`, by a reload); where files change without that, what is not loaded yet is
refused.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from multipassd.system import installation
from protocol.errors import RpcError
from protocol.status import Status

PACKAGES = ("multipassd", "protocol")
# Programs of their own: the service needs no more of them than what its other modules import.
PROGRAMS = (
    "multipassd.admin",
    "multipassd.disk_helper",
    "multipassd.drivers.qemu.helper",
    "multipassd.images.worker",
    "multipassd.main",
    "multipassd.migration",
    "multipassd.mounts",
    "multipassd.network.helper",
    "multipassd.snap",
)
# Of these the service has what an administrator chose, or nothing: they may need other libraries.
CHOICES = ("multipassd.drivers.incus",)
Stamp = tuple[int, int, int]
GONE: Stamp = (0, 0, 0)


class CodeReplaced(RpcError, ImportError):
    """A module was not loaded yet, and its file is another one now."""

    status = Status.UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "The files of the service were replaced while it ran, and it has not been restarted "
            f"since. As root: {installation.here().restart}. Instances run on."
        )


class LateCode:
    """Finds own modules for `import`, if their files are those of the start."""

    def __init__(self, tree: str = installation.TREE) -> None:
        self._tree = tree
        self._stamps: dict[str, Stamp] = {}  # by the path

    def install(self) -> None:
        """To be called once, before the service is ready: from now on a change counts."""
        for package in PACKAGES:
            for place, _, files in os.walk(os.path.join(self._tree, package)):
                for path in (os.path.join(place, each) for each in files if each.endswith(".py")):
                    self._stamps[path] = _stamp(path)
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """For the import system. Raises CodeReplaced."""
        if name.partition(".")[0] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin is not None:
            if _stamp(spec.origin) != self._stamps.get(spec.origin):
                raise CodeReplaced
        elif self._knew(name):
            raise CodeReplaced  # the new version has it elsewhere, or no more
        return spec

    def _knew(self, name: str) -> bool:
        path = os.path.join(self._tree, *name.split("."))
        return f"{path}.py" in self._stamps or os.path.join(path, "__init__.py") in self._stamps

    def load_rest(self) -> None:
        """All that the service may need later. Raises CodeReplaced."""
        for path in self._stamps:
            name = os.path.relpath(path, self._tree).removesuffix(".py").replace("/", ".")
            name = name.removesuffix(".__init__")
            if name not in sys.modules and not name.startswith((*PROGRAMS, *_not_chosen())):
                importlib.import_module(name)


def _not_chosen() -> tuple[str, ...]:
    return tuple(name for name in CHOICES if name not in sys.modules)


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return GONE
    return status.st_ino, status.st_size, status.st_mtime_ns
