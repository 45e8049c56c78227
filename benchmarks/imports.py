"""Time and memory of each of the daemon's imports, in their order.

python -m benchmarks.imports          as a table
"""

import importlib
import os
import sys
import time

from benchmarks.proc import private_mib

# The large ones first, in the order of service.py's imports; what two of them share is charged to
# the first. The last line is the rest: this project's own.
IMPORTS = (
    "asyncio", "multipassd.settings.settings",
    "systemd.daemon", "systemd.journal", "multipassd.service",
)  # fmt: skip


def measure() -> None:
    """Run in a fresh interpreter: prints one line an import."""
    pid = os.getpid()
    print(f"{'(the interpreter)':24}{'':>9}{private_mib(pid):8.1f} MiB")
    for name in IMPORTS:
        before, started = private_mib(pid), time.perf_counter()
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"{name:24}  not imported: {error}")
            continue
        took = (time.perf_counter() - started) * 1e3
        print(f"{name:24}{took:6.1f} ms{private_mib(pid) - before:8.1f} MiB")


def shares() -> str:
    """The table, measured in an interpreter of its own (the second run, with warm .pyc)."""
    code = "from benchmarks import imports; imports.measure()"
    import subprocess  # not above: what is measured imports this module

    output = ""
    for _ in range(2):
        output = subprocess.run(
            [sys.executable, "-c", code],
            cwd=os.path.dirname(os.path.dirname(__file__)),
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    return output


if __name__ == "__main__":
    print(shares(), end="")
