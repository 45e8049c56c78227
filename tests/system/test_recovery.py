"""Getting back in: the documented line with `tee -a`, and root's own way."""

import shlex
import subprocess

import pytest

from tests.system.people import ROOT, People, Person
from tests.system.site import EMPTY_LIST, NOT_AUTHENTICATED, ROOT_AUTHENTICATED, Site

AT_ONCE = 5.0  # seconds; promised is one, on a machine that is not busy with other tests


def append(site: Site, person: Person) -> None:
    """The documented recovery, word for word but for the paths."""
    certificate, store = (shlex.quote(str(path)) for path in (site.certificate(person), site.store))
    line = f"cat {certificate} | tee -a {store} > /dev/null"
    subprocess.run(["/bin/sh", "-c", line], check=True)


def gets_in(site: Site, person: Person) -> bool:
    return site.run(person, "list").stdout == EMPTY_LIST


def lock_out(site: Site, person: Person) -> None:
    """What a user finds who needs the recovery: all three documented commands refuse."""
    assert site.run(person, "list").stderr == NOT_AUTHENTICATED
    assert "Passphrase is not set." in site.run(person, "authenticate", "x").stderr
    done = site.run(person, "set", "local.passphrase=x")
    assert done.stderr == NOT_AUTHENTICATED.replace("list", "set", 1)


def test_locked_out_by_another_first_client_the_documented_line_lets_in(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(ROOT)  # a `sudo multipass …` came first
    lock_out(site, people.alice)
    append(site, people.alice)
    took = site.until(lambda: gets_in(site, people.alice), "the appended certificate to count")
    assert took < AT_ONCE
    assert gets_in(site, ROOT)
    assert not gets_in(site, people.bob)


def test_with_the_documented_restart_it_works_as_well(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.dave)
    lock_out(site, people.alice)
    append(site, people.alice)
    site.daemon.restart()
    assert gets_in(site, people.alice)
    assert gets_in(site, people.dave)


def test_on_an_empty_store_the_appended_certificate_is_the_first_client(
    site: Site, people: People
) -> None:
    site.start()
    site.make_certificate(people.bob)
    append(site, people.bob)
    site.until(lambda: site.mode_and_group()[0] == "666", "the socket to open")
    assert gets_in(site, people.bob), "trusted by root's hand, though not in the admin group"
    assert site.run(people.alice, "list").stderr == NOT_AUTHENTICATED


def test_on_an_empty_store_with_a_restart(site: Site, people: People) -> None:
    site.start()
    site.make_certificate(people.bob)
    append(site, people.bob)
    site.daemon.restart()
    assert site.mode_and_group()[0] == "666"
    assert gets_in(site, people.bob)
    assert not gets_in(site, people.alice)


def test_appended_while_the_daemon_is_stopped(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.dave)
    site.make_certificate(people.alice)
    site.daemon.stop()
    append(site, people.alice)
    site.daemon.start()
    assert gets_in(site, people.alice)
    assert gets_in(site, people.dave)


def test_an_append_and_an_enrolment_right_after_it_are_both_kept(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(people.dave)
    site.make_certificate(people.alice)
    append(site, people.alice)
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED
    for person in (people.alice, people.dave, ROOT):
        assert site.trusted(person)
        assert gets_in(site, person)


def test_root_lets_the_locked_out_in_without_touching_files(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.dave)
    lock_out(site, people.alice)
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED
    site.set_passphrase(ROOT, "by root")
    assert site.run(people.alice, "authenticate", "by root").returncode == 0
    assert gets_in(site, people.alice)


@pytest.mark.parametrize("restart", [False, True])
def test_deleting_the_store_does_not_reopen_the_door(
    site: Site, people: People, restart: bool
) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.store.unlink()
    if restart:
        site.daemon.restart()
    else:
        site.until(lambda: not gets_in(site, people.alice), "the missing store to be noticed")
    done = site.run(people.dave, "list")
    assert (done.returncode, done.stdout) == (2, "")
    assert "journal" in done.stderr
    assert not site.store.exists()
    append(site, people.alice)
    site.until(lambda: gets_in(site, people.alice), "the repaired store to count")
