"""The passphrase between users: set at a real terminal, guessed, known, and limited."""

import json
import math
import subprocess
import time

import pytest

from multipassd.auth.own_guesses import OWN_GUESSES
from tests import ports
from tests.system.people import ROOT, People, Person, stranger
from tests.system.site import (
    ASK,
    ASK_AGAIN,
    EMPTY_LIST,
    WRONG,
    Site,
    end,
)
from tests.waiting import PATIENCE

PASSPHRASE = "correct horse battery staple"
ADDRESSLESS = 2_000_100_000  # uids that no account and no range of /etc/subuid has
GUESSES_EACH = 8  # more than a person may have waiting
TOO_MANY = "authenticate failed: Too many passphrases were tried"


def test_the_documented_story_at_real_terminals(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.alice)
    said = site.converse(
        people.alice,
        ["set", "local.passphrase"],
        [(ASK, PASSPHRASE), (ASK_AGAIN, PASSPHRASE)],
    )
    assert said.returncode == 0, said
    assert PASSPHRASE not in said.output, "echo is off"
    assert said.output.startswith(f"{ASK}\n{ASK_AGAIN}\n")

    said = site.converse(people.bob, ["auth"], [(ASK, "wrong one")])
    assert (said.output, said.returncode) == (f"{ASK}\n{WRONG}", 2)
    said = site.converse(people.bob, ["auth"], [(ASK, PASSPHRASE)])
    assert (said.output, said.returncode) == (f"{ASK}\n", 0)
    done = site.run(people.bob, "list")
    assert (done.returncode, done.stdout, done.stderr) == (0, EMPTY_LIST, "")
    assert site.run(people.bob, "get", "local.passphrase").stdout == "true\n"


def test_neither_log_nor_settings_hold_the_passphrase(site: Site, people: People) -> None:
    site.start("-V", "trace")
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, "swordfish-12")
    for words in ("swordfish-12", "swordfish-13"):
        site.run(people.bob, "-vvvv", "authenticate", words)
    kept = site.sandbox.settings_path.read_text(encoding="utf-8")
    assert "local.passphrase" in kept
    assert "swordfish" not in kept + site.daemon.log_text()


@pytest.mark.parametrize(
    "passphrase",
    ["a=b==c", "=", " leading and trailing ", "пароль 🔑 ünïcode", "--help", "%41;#\\n\"'"],
)
def test_any_text_is_a_passphrase(site: Site, people: People, passphrase: str) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, passphrase)
    done = site.run(people.bob, "authenticate", input=f"{passphrase}\n")
    assert (done.returncode, done.stderr) == (0, ""), done
    done = site.run(people.carol, "authenticate", "--", passphrase)
    assert (done.returncode, done.stderr) == (0, ""), done
    assert site.run(people.dave, "authenticate", "--", passphrase + "x").stderr == WRONG


def test_a_change_counts_at_once_and_an_empty_value_unsets(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, "first")
    site.set_passphrase(people.alice, "second")
    assert site.run(people.bob, "authenticate", "first").stderr == WRONG
    assert site.run(people.carol, "authenticate", "second").returncode == 0
    site.set_passphrase(people.alice, "")
    assert site.run(people.alice, "get", "local.passphrase").stdout == "false\n"
    assert "Passphrase is not set." in site.run(people.bob, "authenticate", "second").stderr


# Guessing.


def guesser(number: int) -> Person:
    return stranger(f"guesser-{number}", ADDRESSLESS + number)


def refused(processes: list["subprocess.Popen[str]"]) -> int:
    """How many have ended because no more guesses are taken."""
    return sum(1 for process in processes if process.poll() == 2)


def test_guesses_from_subordinate_uids_are_their_owners(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, PASSPHRASE)
    guessers = [people.subordinate(number) for number in range(16)]
    for person in guessers:
        site.make_certificate(person)
    began = time.monotonic()
    at_work = [site.spawn(person, "authenticate", "guess") for person in guessers]
    try:
        # One answers at once, a few wait longer and longer; were each uid its own person,
        # ten would be answered at once and all guesses of this minute be gone.
        site.until(lambda: refused(at_work) >= 10, "the refusal of most guesses")
        started = time.monotonic()
        done = site.run(people.bob, "authenticate", PASSPHRASE)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert time.monotonic() - started < PATIENCE
        wrong = sum(process.communicate()[1] == WRONG for process in at_work if process.poll() == 2)
        waited = time.monotonic() - began
        # A person's guesses are answered after 0, 1, 3, 7, 15, ... seconds.
        assert wrong <= 1 + int(math.log2(1 + waited)), "carol as one person gets but a few answers"
    finally:
        for process in at_work:
            end(process)


def test_a_right_passphrase_is_checked_whatever_other_users_guess(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, PASSPHRASE)
    crowd = [guesser(number) for number in range(6)]
    for person in crowd:
        site.make_certificate(person)
    at_work = [
        site.spawn(person, "authenticate", "guess") for person in crowd for _ in range(GUESSES_EACH)
    ]
    try:
        site.until(lambda: refused(at_work) > len(crowd), "the refusal of most guesses")
        done = site.run(people.bob, "authenticate", PASSPHRASE)
        assert (done.returncode, done.stderr) == (0, ""), done
    finally:
        for process in at_work:
            end(process)


def test_one_guesser_over_tcp_keeps_no_other_user_s_passphrase_out(
    site: Site, people: People
) -> None:
    with ports.reserved() as port:
        site.start("--address", site.daemon.address, "--address", f"{ports.LOOPBACK}:{port}")
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, PASSPHRASE)
    over_tcp = {"MULTIPASS_SERVER_ADDRESS": f"localhost:{port}"}
    mallory = guesser(0)
    site.make_certificate(mallory)
    at_work = [
        site.spawn(mallory, "authenticate", "guess", env=over_tcp) for _ in range(GUESSES_EACH)
    ]
    try:
        site.until(lambda: refused(at_work) > 1, "the refusal of a guess")
        done = site.run(people.bob, "authenticate", PASSPHRASE, env=over_tcp)
        assert (done.returncode, done.stderr) == (0, ""), done
    finally:
        for process in at_work:
            end(process)


def test_when_all_guesses_are_used_up_trusted_clients_and_root_are_not_held_up(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, PASSPHRASE)
    site.daemon.stop()
    now = time.time()
    state = {"tokens": 0.0, "at": now, "own": {str(guesser(0).uid): [OWN_GUESSES, now]}}
    (site.sandbox.data / "guesses.json").write_text(json.dumps(state))
    site.daemon.start()
    assert site.run(guesser(0), "authenticate", "guess").stderr.startswith(TOO_MANY)

    assert site.run(people.alice, "list").stdout == EMPTY_LIST
    assert site.run(people.alice, "authenticate", PASSPHRASE).returncode == 0
    assert site.run(people.alice, "authenticate", "typo").stderr == WRONG
    root = site.run(ROOT, "authenticate", "typo")
    assert (root.returncode, root.stderr) == (2, WRONG)
    assert site.run(ROOT, "authenticate").returncode == 0

    assert site.run(guesser(1), "authenticate", "guess").stderr == WRONG
    site.daemon.restart()
    kept = json.loads((site.sandbox.data / "guesses.json").read_text())
    assert kept["own"][str(guesser(1).uid)][0] == 1, "a restart gives no new guesses"
