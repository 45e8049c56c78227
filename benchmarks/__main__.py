"""./dev bench: measure every goal, print them with verdicts. Missed goals are shown, not hidden.

The exit code is 1 if something could not be measured, else 0, also where goals are missed.
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator

from benchmarks import daemon_cpu, imports, inner_loop, memory, profiles, rates, starts
from benchmarks.place import Place
from benchmarks.report import Row, Verdict, failed, table
from tools.sandbox import INTERRUPTED


def trust_rows(place: Place) -> Iterator[Row]:
    # Imported late: if this process mapped the daemon's libraries while memory is measured, the
    # daemon's PSS would be too small.
    from benchmarks import trust

    return trust.rows(place)


def handshake_rows(place: Place) -> Iterator[Row]:
    from benchmarks import handshakes  # later, for the same reason

    return handshakes.rows(place)


def role_rows(place: Place) -> Iterator[Row]:
    from benchmarks import roles  # later, for the same reason

    return roles.rows(place)


def instance_rows(place: Place) -> Iterator[Row]:
    from benchmarks import launches  # later, for the same reason

    return launches.rows(place)


def mount_rows(place: Place) -> Iterator[Row]:
    from benchmarks import mounts

    return mounts.rows(place)


def snapshot_rows(place: Place) -> Iterator[Row]:
    from benchmarks import snapshots

    return snapshots.rows(place)


def transfer_rows(place: Place) -> Iterator[Row]:
    from benchmarks import transfers

    return transfers.rows(place)


def relay_rows(place: Place) -> Iterator[Row]:
    from benchmarks import relays

    return relays.rows(place)


def download_rows(place: Place) -> Iterator[Row]:
    from benchmarks import downloads

    return downloads.rows(place)


def stranger_rows(place: Place) -> Iterator[Row]:
    from benchmarks import strangers

    return strangers.rows(place)


def cluster_rows(place: Place) -> Iterator[Row]:
    from benchmarks import cluster

    return cluster.rows(place)


PARTS: dict[str, Callable[[Place], Iterable[Row]]] = {
    "client": starts.client_rows,
    "rates": rates.rows,
    "start": starts.daemon_rows,
    "memory": memory.rows,
    "cpu": daemon_cpu.rows,
    "handshakes": handshake_rows,
    "trust": trust_rows,
    "roles": role_rows,
    "instances": instance_rows,
    "mounts": mount_rows,
    "snapshots": snapshot_rows,
    "transfers": transfer_rows,
    "relays": relay_rows,
    "downloads": download_rows,
    "strangers": stranger_rows,
    "cluster": cluster_rows,
    "tests": inner_loop.rows,
    "suite": inner_loop.suite_rows,
}


ALONE = {"suite"}  # only where it is asked for


def measure(place: Place, names: Iterable[str]) -> list[Row]:
    rows: list[Row] = []
    for name in names:
        print(f"measuring: {name} ...", file=sys.stderr, flush=True)
        try:
            rows += PARTS[name](place)
        except Exception as error:  # one part that can't be measured must not hide the others
            rows.append(failed(name, error))
    return rows


def machine() -> str:
    """The load matters: these are ratios of one run, but a busy machine still blurs them."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} at the start"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller numbers")
    parser.add_argument("--profile", action="store_true", help="where a list spends its time")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part")
    options = parser.parse_args()

    try:
        return measured(options, machine())
    except KeyboardInterrupt:
        return INTERRUPTED


def measured(options: argparse.Namespace, about: str) -> int:
    with Place.open(options.quick) as place:
        if options.profile:
            print(f"The client's imports:\n{profiles.client_imports(place.env)}\n")
            print(f"The daemon, {profiles.CALLS} lists:\n{profiles.daemon_profile()}")
            return 0
        rows = measure(place, options.only or [each for each in PARTS if each not in ALONE])
    print(about + (", --quick" if options.quick else ""), table(rows), sep="\n\n")
    if options.only is None:
        print(f"\nWhere the daemon's start and memory go:\n\n{imports.shares()}", end="")
    return 1 if any(row.verdict is Verdict.FAILED for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
