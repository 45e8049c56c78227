"""kill -9 in the middle of enrolments: what a client was told is true after every one of them."""

import random
import subprocess
import time

import pytest

from multipassd.trust.enrolled_marker import EnrolledMarker
from tests.system.people import ROOT, People, Person
from tests.system.site import (
    EMPTY_LIST,
    ROOT_AUTHENTICATED,
    Site,
    fingerprint_of,
)

ROUNDS = 16
FIRST_CLIENT_ROUNDS = 4
CLIENTS = 3
LONGEST = 0.25  # seconds; an enrolment takes a third of it


def spawn_client(site: Site, name: str) -> tuple[Person, "subprocess.Popen[str]"]:
    """A client of root's, which needs no passphrase, with a home of its own."""
    person = Person(name, ROOT.uid, ROOT.gid)
    site.make_certificate(person)
    return person, site.spawn(person, "authenticate")


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(site: Site, people: People) -> None:
    """Twenty daemons are killed; four of them while the very first client enrols."""
    moments = random.Random(20)
    site.start()
    acknowledged: set[str] = set()
    for number in range(FIRST_CLIENT_ROUNDS):
        acknowledged |= kill_during_first_client(site, people.alice, moments, number)
    site.enrol_first(people.alice)
    acknowledged.add(fingerprint_of(site.certificate(people.alice)))
    for number in range(ROUNDS):
        started = [spawn_client(site, f"client-{number}-{each}") for each in range(CLIENTS)]
        time.sleep(moments.uniform(0, LONGEST))
        site.daemon.kill()
        site.daemon.start()
        for person, process in started:
            output, errors = process.communicate(timeout=60)
            assert process.returncode in (0, 2), errors
            if process.returncode == 0:
                assert output == ROOT_AUTHENTICATED
                acknowledged.add(fingerprint_of(site.certificate(person)))
        assert acknowledged <= site.stored(), f"round {number}"
        assert site.run(people.alice, "list").stdout == EMPTY_LIST, f"round {number}"
    assert len(acknowledged) > 1, "some enrolments were acknowledged, or nothing was tried"
    assert site.run(people.alice, "list").stdout == EMPTY_LIST


def kill_during_first_client(
    site: Site, person: Person, moments: random.Random, number: int
) -> set[str]:
    """The store is emptied afterwards for the next round, all but the last."""
    process = site.spawn(person, "list")
    time.sleep(moments.uniform(0, LONGEST))
    site.daemon.kill()
    site.daemon.start()
    process.communicate(timeout=60)
    mine = fingerprint_of(site.certificate(person))
    if process.returncode == 0:
        assert site.stored() == {mine}, f"first client, round {number}"
    done = site.run(person, "list")
    assert done.returncode == 0, done
    assert site.stored() == {mine}
    if number == FIRST_CLIENT_ROUNDS - 1:
        return {mine}
    site.daemon.stop()
    for path in site.store.parent.iterdir():
        path.unlink()
    EnrolledMarker(site.store.parent).clear()
    site.daemon.start()
    return set()
