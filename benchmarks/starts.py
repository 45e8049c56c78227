"""How fast the programs start: the client's list, the daemon until it is ready."""

import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.measure import BARE_PYTHON, run_seconds, take_turns
from benchmarks.place import Place
from benchmarks.report import Goal, Row
from tools.daemon import Daemon
from tools.sandbox import CHECKOUT, MULTIPASS, Sandbox

LIST_VS_BARE = Goal(2.6)
LOCAL_VS_BARE = Goal(2.2)  # of commands that need no service
LIST_VS_GRPCIO = Goal(0.4, stretch=0.3)
READY_VS_BARE = Goal(28, stretch=20)
GRPCIO_SCRIPT = [sys.executable, "-I", str(CHECKOUT / "benchmarks" / "grpcio_list.py")]


def client_rows(place: Place) -> Iterator[Row]:
    env = place.env
    bare, ours, grpcio = take_turns(
        place.scaled(40, 9),
        lambda: run_seconds(BARE_PYTHON, env),
        lambda: run_seconds(place.list_command, env),
        lambda: run_seconds(GRPCIO_SCRIPT, env),
    )
    figures = f"{ours * 1e3:.1f} ms, bare {bare * 1e3:.1f} ms, grpcio {grpcio * 1e3:.0f} ms"
    what = "`multipass list`, start to exit"
    yield Row(what, "bare /usr/bin/python3", ours / bare, LIST_VS_BARE, figures)
    yield Row(what, "a 20-line grpcio script", ours / grpcio, LIST_VS_GRPCIO, figures)
    yield from _local_rows(place)


def _local_rows(place: Place) -> Iterator[Row]:
    """Commands that need no service: one that is there would add its own time to `version`."""
    env = {**place.env, "MULTIPASS_SERVER_ADDRESS": f"unix:{place.sandbox.root}/none"}
    commands = ("help", "version", "find --help")
    bare, *taken = take_turns(
        place.scaled(40, 9),
        lambda: run_seconds(BARE_PYTHON, env),
        *(partial(run_seconds, [str(MULTIPASS), *words.split()], env) for words in commands),
    )
    for words, ours in zip(commands, taken, strict=True):
        what = f"`multipass {words}`, no service"
        figures = f"{ours * 1e3:.1f} ms, bare {bare * 1e3:.1f} ms"
        yield Row(what, "bare /usr/bin/python3", ours / bare, LOCAL_VS_BARE, figures)


def daemon_rows(place: Place) -> Iterator[Row]:
    sandbox = Sandbox.create()
    daemon = Daemon(sandbox)
    try:

        def to_ready() -> float:
            daemon.start()
            daemon.stop()
            return daemon.ready_seconds

        bare, ready = take_turns(
            place.scaled(15, 5), lambda: run_seconds(BARE_PYTHON, place.env), to_ready
        )
    finally:
        sandbox.remove()
    figures = f"{ready * 1e3:.0f} ms, bare {bare * 1e3:.1f} ms"
    what = "daemon, exec to READY"
    yield Row(what, "bare /usr/bin/python3", ready / bare, READY_VS_BARE, figures)
