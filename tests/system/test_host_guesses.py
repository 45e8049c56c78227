"""Guessing from one user with a thousand uids, and over TCP: the rate, and what others notice.

What was counted is printed (`pytest -s`) and recorded as properties of the test.
"""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from multipassd.auth.guess_limiter import BURST, SECONDS_A_TOKEN
from multipassd.auth.own_guesses import OWN_GUESSES
from protocol.errors import WrongPassphrase
from tests.system.host import Host, new_host
from tests.system.site import EMPTY_LIST

GUESSER = Path(__file__).with_name("guesser.py")
PASSPHRASE = "correct horse"
FIRST_UID, UIDS = 700_000, 1000
SECONDS = 60
CALLS_BEFORE = 20  # calls whose duration is measured without guesses
# Documented: ten at once, then ten a minute, and three for each person: carol, also over TCP, and
# callers who hung up before the service could see whose end of the connection it was.
MOST = BURST + round(SECONDS / SECONDS_A_TOKEN) + 2 * OWN_GUESSES

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    """Reached over TCP, too; alice is trusted, and carol was lent a thousand uids."""
    with new_host() as one:
        (one.root / "etc/subuid").write_text(f"carol:{FIRST_UID}:{UIDS}\n")
        one.boot()
        one.run("systemctl", "start", "multipassd-tcp.socket")
        assert one.run("multipass", "list", user="alice").stdout == EMPTY_LIST
        one.run("multipass", "set", f"local.passphrase={PASSPHRASE}", user="alice")
        yield one


def test_a_thousand_uids_and_tcp_guess_no_faster_than_one_and_slow_nobody_trusted(
    host: Host, record_property: Callable[[str, object], None]
) -> None:
    before = [seconds_of_a_call(host) for _ in range(CALLS_BEFORE)]
    program = start_guessing(host)
    meanwhile = []
    while program.poll() is None:
        meanwhile.append(seconds_of_a_call(host))
    told = json.loads(program.communicate()[0])
    tried = {way: sum(said.values()) for way, said in told.items()}
    checked = {way: said.get(WrongPassphrase.sentence, 0) for way, said in told.items()}
    for line in (
        f"guesses in {SECONDS} s: {tried['unix']} over the Unix socket from {UIDS} uids of one "
        f"user, {tried['tcp']} over TCP",
        f"checked: {checked['unix']} and {checked['tcp']}; the documented most: {MOST} in all",
        f"a trusted user's call, median: {statistics.median(before) * 1000:.0f} ms without, "
        f"{statistics.median(meanwhile) * 1000:.0f} ms with ({len(meanwhile)} calls, none failed)",
    ):
        print(f"\n{line}", end="")
    record_property("guesses tried", tried)
    record_property("guesses checked in a minute", sum(checked.values()))
    record_property("median of a trusted call in s, without", statistics.median(before))
    record_property("median of a trusted call in s, meanwhile", statistics.median(meanwhile))
    assert min(tried.values()) > 0
    assert "RIGHT" not in {word for said in told.values() for word in said}
    assert 0 < sum(checked.values()) <= MOST, told
    assert host.run("multipass", "authenticate", PASSPHRASE, user="alice", code=0)
    assert host.show("multipassd.service", "NRestarts") == "0"


def seconds_of_a_call(host: Host) -> float:
    """Fails unless alice gets her answer."""
    began = time.monotonic()
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    return time.monotonic() - began


def start_guessing(host: Host) -> "subprocess.Popen[str]":
    with GUESSER.open() as text:
        arguments = [str(number) for number in (FIRST_UID, UIDS, SECONDS)]
        return subprocess.Popen(
            [*host.entering(), "nice", "-n", "19", "/usr/bin/python3", "-I", "-", *arguments],
            stdin=text, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
