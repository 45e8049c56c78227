"""The command-line client, `multipass`; here: how its modules are found.

The standard finder lists each directory and tries six endings for a name: 15 µs a module, of which
a command loads 40. A module of this program has its name as its path. What is loaded is up to the
standard loader, which compares the compiled file with the source. (A module of its own for this
would cost half of what it saves.)
"""

from __future__ import annotations

import posix
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec, SourceFileLoader
else:  # these classes; `importlib.machinery` would have to be loaded
    ModuleSpec, SourceFileLoader = type(__spec__), type(__loader__)

PACKAGES = ("client.", "protocol.")
COMPILED = f".{sys.implementation.cache_tag}.pyc"


class Finder:
    """Finds what is below this program's packages; the next finder finds the rest."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        if path is None or not name.startswith(PACKAGES):
            return None
        last = name.rpartition(".")[2]
        directory = path[0]
        if _exists(f"{directory}/{last}.py"):
            return _spec(name, directory, last)
        directory = f"{directory}/{last}"
        if not _exists(f"{directory}/__init__.py"):
            return None
        spec = _spec(name, directory, "__init__")
        spec.submodule_search_locations = [directory]
        return spec


def _spec(name: str, directory: str, file: str) -> ModuleSpec:
    source = f"{directory}/{file}.py"
    spec = ModuleSpec(name, SourceFileLoader(name, source), origin=source)
    spec.has_location = True
    spec.cached = f"{directory}/__pycache__/{file}{COMPILED}"
    return spec


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True
