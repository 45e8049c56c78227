"""Memory of the daemon: idle, after many connections, and with a thousand open ones.

PSS divides shared pages by the number of processes that map them, so other processes with the same
libraries make it smaller. The private dirty pages are shown too: other processes don't affect them.
"""

import resource
from collections.abc import Iterator

from benchmarks.measure import settled_pss_mib
from benchmarks.place import Place
from benchmarks.proc import KIB_PER_MIB, dirty_mib, peak_rss_mib, pss_mib, rss_mib
from benchmarks.rates import PING
from benchmarks.report import Goal, Row
from benchmarks.wire import Connection

IDLE = Goal(32, unit=" MiB")
GROWTH = Goal(10, unit=" %")
CONNECTIONS, CALLS_EACH = 1000, 10


def rows(place: Place) -> Iterator[Row]:
    """Restart the daemon first: earlier rows have made it grow."""
    place.daemon.restart()
    pid = place.daemon.pid
    idle = settled_pss_mib(pid)
    reference = pss_mib(place.reference_pid)
    dirty = dirty_mib(pid)
    figures = (
        f"RSS {rss_mib(pid):.1f}, written {dirty:.1f} MiB; grpcio server: PSS {reference:.1f}, "
        f"RSS {rss_mib(place.reference_pid):.1f}, written {dirty_mib(place.reference_pid):.1f}"
    )
    yield Row("daemon PSS, idle after start", "grpcio server shown", idle, IDLE, figures)

    connections = place.scaled(CONNECTIONS, CONNECTIONS // 10)
    for _ in range(connections):
        connection = place.connect(place.sandbox.socket_path)
        for _ in range(CALLS_EACH):
            connection.call(PING, b"")
        connection.close()
    after = settled_pss_mib(pid)
    what = f"PSS after {connections * CALLS_EACH:,} calls on {connections:,} connections"
    figures = f"{idle:.1f} to {after:.1f} MiB; written {dirty:.1f} to {dirty_mib(pid):.1f}"
    yield Row(what, "itself before", (after / idle - 1) * 100, GROWTH, figures)

    yield many_open(place, pid)


def many_open(place: Place, pid: int) -> Row:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted = place.scaled(CONNECTIONS, CONNECTIONS // 10)
    dirty = dirty_mib(pid)
    held: list[Connection] = []
    try:
        for _ in range(wanted):
            held.append(place.connect(place.sandbox.socket_path))
            held[-1].call(PING, b"")
        peak, dirty_at_peak = pss_mib(pid), dirty_mib(pid)
    finally:
        for connection in held:
            connection.close()
    each = (dirty_at_peak - dirty) * KIB_PER_MIB / wanted
    figures = f"{each:.0f} KiB a connection; peak RSS {peak_rss_mib(pid):.1f} MiB"
    return Row(f"PSS with {wanted:,} connections open", "-", peak, None, figures, " MiB")
