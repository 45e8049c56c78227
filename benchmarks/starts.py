"""How fast the programs start: the client's list, the daemon until it is ready."""

import sys
import time
from collections.abc import Iterator

from benchmarks.measure import BARE_PYTHON, Figure, run_seconds, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.rates import LIST, LIST_REQUEST
from benchmarks.report import Goal, Row
from benchmarks.wire import Connection, context
from tools.daemon import Daemon
from tools.sandbox import CHECKOUT, MULTIPASS, Sandbox

LIST_VS_BARE = Goal(2.6)
LOCAL_VS_BARE = Goal(2.2)  # of commands that need no service
LIST_VS_GRPCIO = Goal(0.4, stretch=0.3)
READY_VS_BARE, LISTED_VS_BARE = Goal(15), Goal(18)
SERIES = 5  # whose medians are compared: single runs of milliseconds differ by a third
GRPCIO_SCRIPT = [sys.executable, "-I", str(CHECKOUT / "benchmarks" / "grpcio_list.py")]


def client_rows(place: Place) -> Iterator[Row]:
    """No other program takes turns with a pair: a large one empties the caches of what follows."""
    what = "`multipass list`, start to exit"
    yield _against_bare(place, what, place.list_command, place.env, LIST_VS_BARE)
    # A service that is there would add its own time to `version`.
    alone = {**place.env, "MULTIPASS_SERVER_ADDRESS": f"unix:{place.sandbox.root}/none"}
    for words in ("help", "version", "find --help"):
        what, command = f"`multipass {words}`, no service", [str(MULTIPASS), *words.split()]
        yield _against_bare(place, what, command, alone, LOCAL_VS_BARE)
    ours, grpcio = take_turns(
        place.scaled(20, 5),
        lambda: run_seconds(place.list_command, place.env),
        lambda: run_seconds(GRPCIO_SCRIPT, place.env),
    )
    figures = f"{ours * 1e3:.1f} ms, grpcio {grpcio * 1e3:.0f} ms"
    what = "`multipass list`, start to exit"
    yield Row(what, "a 20-line grpcio script", ours / grpcio, LIST_VS_GRPCIO, figures)


def _against_bare(
    place: Place, what: str, command: list[str], env: dict[str, str], goal: Goal
) -> Row:
    """The median of some ratios, each between medians of runs in turns."""
    series = [
        take_turns(
            place.scaled(15, 5),
            lambda: run_seconds(BARE_PYTHON, env),
            lambda: run_seconds(command, env),
        )
        for _ in range(SERIES)
    ]
    bare, ours = (Figure(map(float, medians)) for medians in zip(*series, strict=True))
    figures = f"{ours * 1e3:.1f} ms, bare {bare * 1e3:.1f} ms"
    return Row(what, "bare /usr/bin/python3", ours / bare, goal, figures)


def daemon_rows(place: Place) -> Iterator[Row]:
    """Started by hand, with one trusted client and no instances."""
    sandbox = Sandbox.create()
    daemon = Daemon(sandbox)
    answered: list[float] = []

    def to_ready() -> float:
        daemon.start()
        try:
            connection = Connection(sandbox.socket_path, client)
            connection.call(LIST, LIST_REQUEST)
            answered.append(time.monotonic() - daemon.started)
            connection.close()
        finally:
            daemon.stop()
        return daemon.ready_seconds

    try:
        daemon.start()
        daemon.cli(CLIENT, "list")
        client = context(sandbox.root_cert, sandbox.certificate(CLIENT), sandbox.key(CLIENT))
        daemon.stop()
        bare, ready = take_turns(
            place.scaled(15, 5), lambda: run_seconds(BARE_PYTHON, place.env), to_ready
        )
    finally:
        sandbox.remove()
    figures = f"{ready * 1e3:.0f} ms, bare {bare * 1e3:.1f} ms"
    against = "bare /usr/bin/python3"
    yield Row("daemon, exec to READY", against, ready / bare, READY_VS_BARE, figures)
    listed = Figure(answered[1:])  # the first round is not counted
    figures = f"{listed * 1e3:.0f} ms, bare {bare * 1e3:.1f} ms"
    what = "daemon, exec to the first answered `list`"
    yield Row(what, against, listed / bare, LISTED_VS_BARE, figures)
