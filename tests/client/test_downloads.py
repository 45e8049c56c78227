"""How a launch shows a download: its words, its rate, and what it asks the service for."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import downloads
from client.main import INTERRUPTED
from client.render.download_line import Transfer, amount, duration, line
from client.terminal.progress import RETRIEVING
from client.terminal.rate import SURE_AFTER, WINDOW, Rate
from protocol.messages.downloads import Download, DownloadsReply
from protocol.messages.launch import LaunchProgress, LaunchReply
from tests.client.program import PROGRAM, Program
from tests.client.service import Service, failing
from tools import terminal

Answer = Callable[[Any, Any], Iterable[bytes]]
Connect = Callable[..., tuple[Program, Service]]
Kinds = LaunchProgress.ProgressTypes
PATIENCE = 30.0  # seconds for the client to ask
REDRAW = "\x1b[2K\x1b[0A\x1b[0E"
MB = 1_000_000
FULL = "Retrieving image: 42% of 612 MB, 11.3 MB/s, 31 s left"


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1.0 kB"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_700, "1.0 MB"),
        (11_300_000, "11.3 MB"),
        (612_345_678, "612 MB"),
        (4 * 10**9, "4.0 GB"),
        (3 * 10**15, "3000 TB"),
    ],
)
def test_amounts_have_three_digits_or_so(size: float, shown: str) -> None:
    assert amount(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.2, "1 s"),
        (31, "31 s"),
        (59.7, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (4380, "1 h 13 min"),
    ],
)
def test_durations_are_in_the_units_that_matter(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("transfer", "percent", "shown"),
    [
        (Transfer(257 * MB, 612 * MB), None, "41% of 612 MB"),
        (Transfer(257 * MB, 612 * MB), 42, "42% of 612 MB"),
        (Transfer(257 * MB, 612 * MB, 11.3 * MB, 31), 42, "42% of 612 MB, 11.3 MB/s, 31 s left"),
        (Transfer(257 * MB, 612 * MB, 0.0), 42, "42% of 612 MB, 0 B/s"),
        (Transfer(612 * MB, 612 * MB, 1.0 * MB, 0.0), 100, "100% of 612 MB, 1.0 MB/s"),
        (Transfer(257 * MB, 0), None, "257 MB"),
        (Transfer(257 * MB, 0, 11.3 * MB), None, "257 MB, 11.3 MB/s"),
    ],
)
def test_a_line_tells_what_is_known(transfer: Transfer, percent: int | None, shown: str) -> None:
    assert line(RETRIEVING, transfer, percent, 80) == RETRIEVING + shown


def test_a_narrow_terminal_loses_the_tail_part_by_part() -> None:
    transfer = Transfer(257 * MB, 612 * MB, 11.3 * MB, 31.0)
    shown = {columns: line(RETRIEVING, transfer, 42, columns) for columns in range(100)}
    ends = [len(FULL), FULL.index(", 31"), FULL.index(", 11"), FULL.index(" of"), 0]
    for columns, text in shown.items():
        fitting = next(end for end in ends if end <= columns)
        assert text == FULL[: fitting or ends[-2]]  # the per cent is shown on any


# -- rate -----------------------------------------------------------------------------------------


def looked(*samples: tuple[float, int]) -> Rate:
    rate = Rate()
    for now, total in samples:
        rate.add(now, total)
    return rate


def test_one_look_tells_no_rate_and_short_ones_no_time() -> None:
    assert Rate().per_second() is None
    assert looked((5.0, 900)).per_second() is None
    assert looked((5.0, 900), (5.0, 950)).per_second() is None
    soon = looked((5.0, 900), (6.0, 1000))
    assert (soon.per_second(), soon.left(1000)) == (100.0, None)
    later = looked((5.0, 900), (5.0 + SURE_AFTER, 1200))
    assert (later.per_second(), later.left(1000)) == (100.0, 10.0)


def test_what_was_there_before_the_first_look_is_not_counted() -> None:
    assert looked((0.0, 500 * MB), (4.0, 504 * MB)).per_second() == MB


def test_the_rate_follows_a_change_within_the_window() -> None:
    fast = [(float(second), second * 10 * MB) for second in range(60)]
    top = fast[-1][1]
    slow = [(59.0 + second, top + second * MB) for second in range(1, int(WINDOW) + 2)]
    assert looked(*fast).per_second() == 10 * MB
    rates = [looked(*fast, *slow[:count]).per_second() or 0 for count in range(len(slow) + 1)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == MB


def test_a_standstill_ends_in_a_rate_of_nothing_and_no_guess_at_the_rest() -> None:
    stuck = [(1.0 + second, 7 * MB) for second in range(int(WINDOW) + 2)]
    rate = looked((0.0, 0), *stuck)
    assert (rate.per_second(), rate.left(MB)) == (0.0, None)


def test_a_smaller_total_is_another_download() -> None:
    assert looked((0.0, 0), (4.0, 400), (5.0, 10)).per_second() is None
    assert looked((0.0, 0), (4.0, 400), (5.0, 10), (6.0, 30)).per_second() == 20.0


@given(st.lists(st.tuples(st.floats(0.5, 3.0), st.integers(0, 100 * MB)), min_size=2, max_size=60))
def test_the_rate_lies_between_the_slowest_and_the_fastest_look(
    steps: list[tuple[float, int]],
) -> None:
    times = itertools.accumulate(seconds for seconds, _ in steps)
    totals = itertools.accumulate(size for _, size in steps)
    rate = looked(*zip(times, totals, strict=True)).per_second()
    speeds = [size / seconds for seconds, size in steps[1:]]
    assert rate is not None
    assert min(speeds) * 0.999 <= rate <= max(speeds) * 1.001 + 1e-6


# -- beside a foreign service's launch ------------------------------------------------------------


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    services = []

    def start(**answers: Answer) -> tuple[Program, Service]:
        service = Service(f"unix:{tmp_path}/socket", tmp_path, **answers)
        services.append(service)
        address = f"unix:{tmp_path}/socket"
        return Program(tmp_path / "home", address, service.root_certificate), service

    yield start
    for service in services:
        service.close()


class Launch:
    """Fetches an image until `downloads` was asked for `asks` times, and `pause` seconds more."""

    def __init__(self, asks: int, progress: LaunchProgress, pause: float = 0.0) -> None:
        self.asked = threading.Semaphore(0)
        self._asks = asks
        self._progress = progress
        self._pause = pause

    def launch(self, requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        context.add_callback(lambda: self.asked.release(self._asks + 1))  # who left asks no more
        yield LaunchReply(create_message="Creating happy-panda").encode()
        yield LaunchReply(launch_progress=self._progress).encode()
        for _ in range(self._asks):
            if not self.asked.acquire(timeout=PATIENCE):
                context.abort(grpc.StatusCode.INTERNAL, "downloads were not asked for")
        time.sleep(self._pause)
        verify = LaunchProgress(type=Kinds.VERIFY, percent_complete="-1")
        yield LaunchReply(launch_progress=verify).encode()
        yield LaunchReply(vm_instance_name="happy-panda").encode()

    def noting(self, answer: Answer) -> Answer:
        def noted(requests: Any, context: Any) -> Iterable[bytes]:
            try:
                yield from answer(requests, context)
            finally:
                self.asked.release()

        return noted


def growing(name: str, size: int = 612 * MB) -> Answer:
    """A download for `name`, of which there is more at each look; beside others' downloads."""
    looks = itertools.count(1)

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        fetched = next(looks) * 40 * MB
        mine = Download(
            instance_name=["first", name], received=200 * MB + fetched, size=size, fetched=fetched
        )
        other = Download(instance_name=["other"], received=1, size=7, fetched=1)
        yield DownloadsReply(downloads=[other, mine]).encode()

    return answer


def image(percent: str) -> LaunchProgress:
    return LaunchProgress(type=Kinds.IMAGE, percent_complete=percent)


def on_terminal(program: Program, *words: str, columns: int = 80) -> list[str]:
    """The lines that were shown, one over the other."""
    command = ["sh", "-c", f'stty cols {columns} && exec "$@"', "sh", str(PROGRAM), *words]
    session = terminal.converse(command, [], program.environ)
    assert session.returncode == 0, session
    return session.output.split(REDRAW)


RATE = re.compile(r"Retrieving image: 42% of 612 MB, [\d.]+ MB/s")
LEFT = re.compile(RATE.pattern + r", \d+ s left")


@pytest.mark.parametrize("words", [["launch"], ["launch", "--name", "happy-panda"]])
def test_a_terminal_shows_size_rate_and_time_left(connect: Connect, words: list[str]) -> None:
    one = Launch(6, image("42"))
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("happy-panda")))
    shown = on_terminal(program, *words)
    wanted = ["Retrieving image: 42%", "Retrieving image: 42% of 612 MB"]
    assert [text for text in shown if text.startswith("Retr")][:2] == wanted
    assert any(RATE.fullmatch(text) for text in shown)
    assert any(LEFT.fullmatch(text) for text in shown)
    assert shown[-1] == "Launched: happy-panda\n"


def test_a_narrow_terminal_shows_what_fits(connect: Connect) -> None:
    one = Launch(6, image("42"))
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("happy-panda")))
    shown = on_terminal(program, "launch", columns=40)
    fetching = [text for text in shown if text.startswith("Retrieving")]
    assert "Retrieving image: 42% of 612 MB" in fetching
    assert max(map(len, fetching)) < 40


def test_an_unknown_size_is_shown_as_what_has_come(connect: Connect) -> None:
    one = Launch(3, image("-1"))
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("happy-panda", 0)))
    shown = on_terminal(program, "launch")
    assert "Retrieving image: 240 MB" in shown
    assert any(re.fullmatch(r"Retrieving image: 280 MB, [\d.]+ MB/s", text) for text in shown)


def test_who_waits_for_another_s_download_sees_it_too(connect: Connect) -> None:
    one = Launch(3, LaunchProgress(type=Kinds.WAITING, percent_complete="-1"))
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("happy-panda")))
    shown = on_terminal(program, "launch")
    assert any(text.startswith("Preparing image: ") for text in shown)
    assert "Retrieving image: 39% of 612 MB" in shown


def test_others_downloads_are_not_shown(connect: Connect) -> None:
    one = Launch(2, image("42"))
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("sad-panda")))
    assert not any("MB" in text for text in on_terminal(program, "launch"))


@pytest.mark.parametrize(
    "status", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
def test_a_service_that_says_no_is_asked_once_and_shown_as_1_16_is(
    connect: Connect, status: grpc.StatusCode
) -> None:
    one = Launch(1, image("1"), pause=2.5 * downloads.EVERY)  # nothing happens: no other way
    program, service = connect(launch=one.launch, downloads=one.noting(failing(status, "no")))
    shown = on_terminal(program, "launch")
    assert {text for text in shown if text.startswith("Retr")} == {"Retrieving image: 1%"}
    assert service.requests["downloads"] == [b""]


def test_garbage_is_kept_from_the_display(connect: Connect) -> None:
    def garbage(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield b"\xff\xff\xff"

    one = Launch(2, image("1"))
    program, _ = connect(launch=one.launch, downloads=one.noting(garbage))
    shown = on_terminal(program, "launch")
    assert {text for text in shown if text.startswith("Retr")} == {"Retrieving image: 1%"}


def test_a_launch_does_not_wait_for_an_answer(connect: Connect) -> None:
    release = threading.Event()
    one = Launch(1, image("42"))

    def silent(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        one.asked.release()
        release.wait(PATIENCE)
        return iter(())

    program, _ = connect(launch=one.launch, downloads=silent)
    try:
        assert on_terminal(program, "launch")[-1] == "Launched: happy-panda\n"
        assert not release.is_set()
    finally:
        release.set()


def test_ctrl_c_ends_a_launch_that_is_asking(connect: Connect) -> None:
    one = Launch(100, image("42"))  # not over before the key is pressed
    program, _ = connect(launch=one.launch, downloads=one.noting(growing("happy-panda")))
    command = [str(PROGRAM), "launch"]
    shown = [("612 MB", "\x03")]
    session = terminal.converse(command, shown, program.environ, interruptible=True)
    assert session.returncode == INTERRUPTED
    assert session.output.endswith(REDRAW)


def test_nothing_is_asked_for_lines_that_go_elsewhere(connect: Connect) -> None:
    one = Launch(0, image("42"), pause=1.5 * downloads.EVERY)
    program, service = connect(launch=one.launch, downloads=one.noting(growing("happy-panda")))
    result = program.run("launch")
    assert result.out.splitlines() == [
        "Creating happy-panda",
        "Retrieving image: 42%",
        "Verifying image",
        "Launched: happy-panda",
    ]
    assert list(service.requests) == ["launch"]
