"""Latency of a trusted `list` while other users attack the service, beside the same when idle."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.attacks import ATTACKS
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from tools.sandbox import CHECKOUT

UNDER_ATTACK = Goal(3)
# No account has these, and no range of /etc/subuid.
TRUSTED_UID = 2_000_200_000
ATTACKERS_UID = 2_000_200_001  # and those after it
CROWDS = (1, 3)  # attackers at a time, each of another uid
ROW_SECONDS = 20.0  # fewer lists are measured if each takes seconds
LIST_SECONDS = 30.0  # seconds; a list that fails, or takes longer, counts as this
ONSET = 0.5  # seconds until an attack has fully started


def rows(place: Place) -> Iterator[Row]:
    if os.geteuid() != 0:
        raise RuntimeError("needs root, to act as other users")
    _give_to(place, TRUSTED_UID)
    for crowd in CROWDS:
        for name in ATTACKS:
            idle = _lists(place)
            with _under(name, place, crowd):
                taken = _lists(place)
            idle += _lists(place)  # before and after, as the machine's load may change
            yield _row(name, crowd, taken, idle)


def _row(name: str, crowd: int, taken: list[float], idle: list[float]) -> Row:
    median, usual = statistics.median(taken), statistics.median(idle)
    figures = (
        f"{min(taken) * 1e3:.0f} to {max(taken) * 1e3:.0f} ms, median {median * 1e3:.0f}; "
        f"idle {min(idle) * 1e3:.0f} to {max(idle) * 1e3:.0f} ms, median {usual * 1e3:.0f}"
    )
    if failures := taken.count(LIST_SECONDS):
        figures += f"; {failures} of {len(taken)} failed"
    what = f"`list` under {name} by {crowd} uid{'s' * (crowd > 1)}"
    goal = None if name == "spin" else UNDER_ATTACK
    return Row(what, "the same when idle", median / usual, goal, figures)


def _give_to(place: Place, uid: int) -> None:
    """Make an ordinary user the trusted client: root has priority in any case."""
    home = place.sandbox.home(CLIENT)
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, uid)


def _lists(place: Place) -> list[float]:
    until = time.monotonic() + ROW_SECONDS
    taken: list[float] = []
    while len(taken) < place.scaled(15, 7) and time.monotonic() < until:
        taken.append(_one_list(place))
    return taken


def _one_list(place: Place) -> float:
    started = time.perf_counter()
    try:
        done = subprocess.run(
            place.list_command,
            env=place.env,
            user=TRUSTED_UID,
            group=TRUSTED_UID,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return LIST_SECONDS
    return LIST_SECONDS if done.returncode else time.perf_counter() - started


@contextmanager
def _under(name: str, place: Place, crowd: int) -> Iterator[None]:
    attackers: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(crowd):
            arguments = [name, str(place.sandbox.socket_path), str(ATTACKERS_UID + number)]
            command = [sys.executable, "-m", "benchmarks.attacks", *arguments]
            attackers.append(subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE))
        for attacker in attackers:
            assert attacker.stdout is not None
            if attacker.stdout.readline() != b"READY\n":
                raise RuntimeError(f"the attacker {name} did not start")
        time.sleep(ONSET)
        yield
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.wait()
            if attacker.stdout is not None:
                attacker.stdout.close()
