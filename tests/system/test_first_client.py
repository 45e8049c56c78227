"""From an empty store to the first trusted client, as the users of one machine live through it."""

import grp
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.system.people import ROOT, People, Person, stranger
from tests.system.site import (
    DENIED,
    EMPTY_LIST,
    NOT_AUTHENTICATED,
    NOT_SET,
    ROOT_AUTHENTICATED,
    Site,
    first_line,
)
from tools import roots

OVERFLOW_UID = 65534


def sudo_gid(people: People) -> int:
    return next(gid for gid in people.alice.groups if gid != people.alice.gid)


def assert_untouched(site: Site) -> None:
    """No client was enrolled, and the next administrator's still can be."""
    assert not site.store.exists()
    assert site.mode_and_group() == ("660", 0, sudo_gid(site.people))
    site.enrol_first(site.people.alice)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def test_until_the_first_client_only_the_admin_group_gets_in(site: Site, people: People) -> None:
    site.start()
    group = grp.getgrgid(sudo_gid(people)).gr_name
    assert site.mode_and_group() == ("660", 0, sudo_gid(people))
    bob = site.run(people.bob, "list")
    assert bob.returncode == 2
    said, hint = bob.stderr.splitlines()
    assert f"{said}\n" == f"list failed: {DENIED}"
    assert str(site.sandbox.socket_path) in hint
    assert f"'{group}'" in hint
    assert not site.store.exists()

    site.enrol_first(people.alice)
    assert site.mode_and_group()[:2] == ("666", 0)
    bob = site.run(people.bob, "list")
    assert (bob.returncode, bob.stdout, bob.stderr) == (2, "", NOT_AUTHENTICATED)
    bob = site.run(people.bob, "authenticate", "guess")
    assert (bob.returncode, bob.stdout, bob.stderr) == (2, "", NOT_SET)
    assert not site.trusted(people.bob)


def test_key_and_directory_are_closed_and_the_users_own(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.alice)
    key, certificate = site.key(people.alice), site.certificate(people.alice)
    assert (mode(key), mode(key.parent), mode(certificate)) == ("600", "700", "644")
    for path in (key, certificate, key.parent, key.parent.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (people.alice.uid, people.alice.gid)
    assert mode(site.store) == "600"
    assert mode(site.store.parent) == "700"
    assert mode(site.sandbox.root_cert) == "644"


def test_another_member_of_the_admin_group_is_not_trusted_by_itself(
    site: Site, people: People
) -> None:
    site.start()
    site.enrol_first(people.alice)
    dave = site.run(people.dave, "list")
    assert (dave.returncode, dave.stderr) == (2, NOT_AUTHENTICATED)
    assert not site.trusted(people.dave)


def test_a_socket_opened_by_hand_lets_nobody_else_be_first(site: Site, people: People) -> None:
    site.start()
    site.sandbox.socket_path.chmod(0o666)
    for words in (["list"], ["authenticate", "guess"], ["set", "local.passphrase=mine"]):
        bob = site.run(people.bob, *words)
        assert bob.returncode == 2
        assert first_line(bob.stderr) == f"{words[0]} failed: {DENIED}"
        assert len(bob.stderr.splitlines()) == 2, "a hint says what to do"
    assert not site.store.exists()
    site.enrol_first(people.alice)


def test_the_overflow_uid_is_nobody_even_in_the_admin_group(site: Site, people: People) -> None:
    site.start()
    nobody = Person("nobody", OVERFLOW_UID, sudo_gid(people), (sudo_gid(people),))
    done = site.run(nobody, "list")
    assert done.returncode == 2
    assert first_line(done.stderr) == f"list failed: {DENIED}"
    assert_untouched(site)


def test_membership_counts_by_number_without_an_account(site: Site, people: People) -> None:
    site.start()
    member = Person("member", 2_000_000_001, 2_000_000_001, (sudo_gid(people),))
    site.enrol_first(member)
    assert site.trusted(member)


# Root.


def test_root_is_authenticated_on_an_empty_store(site: Site) -> None:
    site.start()
    root = site.run(ROOT, "authenticate")
    assert (root.returncode, root.stdout, root.stderr) == (0, ROOT_AUTHENTICATED, "")
    assert site.trusted(ROOT)
    assert site.mode_and_group()[0] == "666"


def test_root_is_authenticated_where_others_are_trusted(site: Site, people: People) -> None:
    site.start()
    site.enrol_first(people.alice)
    root = site.run(ROOT, "list")
    assert (root.returncode, root.stderr) == (2, NOT_AUTHENTICATED)
    root = site.run(ROOT, "authenticate")
    assert (root.returncode, root.stdout, root.stderr) == (0, ROOT_AUTHENTICATED, "")
    assert site.run(ROOT, "list").stdout == EMPTY_LIST
    assert site.run(people.alice, "list").stdout == EMPTY_LIST


@pytest.mark.skipif(not roots.can_mount_alone(), reason=roots.NO_MOUNT_ALONE)
def test_sudo_with_home_kept_leaves_nothing_of_roots_in_it(site: Site, people: People) -> None:
    """In a mount namespace of its own, so that the real root's home stays as it is."""
    site.start()
    own = "mount -t tmpfs -o mode=700 tmpfs ~root && \"$@\"; code=$?; find ~root -name '*.pem'"
    done = site.run(
        ROOT,
        "list",
        env={"HOME": str(site.home(people.alice)), "SUDO_USER": people.alice.account},
        prefix=["unshare", "--mount", "/bin/bash", "-c", f"{own}; exit $code", "bash"],
    )
    assert done.returncode == 0, done.stderr
    assert "/.local/share/multipass-client-certificate/multipass_cert.pem" in done.stdout
    assert list(site.home(people.alice).iterdir()) == []


# Looking is not asking to be let in.

NEVER_ENROL = {"MULTIPASS_NEVER_ENROL": "1"}


@pytest.mark.parametrize("who", ["alice", "root"])
def test_diagnosis_never_takes_the_first_place(site: Site, who: str) -> None:
    site.start()
    person = ROOT if who == "root" else site.people.alice
    assert site.raw_call(person, "ping") == "16 ", "without a certificate"
    assert site.run(person, "version").returncode == 0
    assert site.certificate(person).exists()
    assert site.raw_call(person, "ping") == "16 ", "with one"
    for words in (["wait-ready"], ["version"], ["help"], ["help", "list"], ["list", "--help"]):
        done = site.run(person, *words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert not site.store.exists(), words
    assert_untouched(site)


@pytest.mark.parametrize("words", [["list"], ["get", "local.passphrase"], ["get", "--keys"]])
def test_completion_never_takes_the_first_place(site: Site, words: list[str]) -> None:
    site.start()
    site.make_certificate(site.people.alice)
    site.run(site.people.alice, *words, env=NEVER_ENROL)
    assert_untouched(site)


def test_a_connection_that_says_nothing_never_takes_the_first_place(site: Site) -> None:
    site.start()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(os.fspath(site.sandbox.socket_path))
        assert_untouched(site)


def test_a_hung_first_client_locks_nobody_out(site: Site, people: People) -> None:
    """Being first is a certificate in the store, not a connection that came early."""
    site.start()
    early = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    try:
        for each in early:
            each.connect(os.fspath(site.sandbox.socket_path))
        site.enrol_first(people.alice)
    finally:
        for each in early:
            each.close()


def test_only_one_of_many_first_clients_wins(site: Site, people: People) -> None:
    site.start()
    rivals: list[subprocess.Popen[str]] = [
        site.spawn(person, "list") for person in (people.alice, people.dave, ROOT)
    ]
    codes = sorted(rival.wait(60) for rival in rivals)
    for rival in rivals:
        rival.communicate()
    assert codes == [0, 2, 2]
    assert len(site.stored()) == 1


def test_uids_without_account_are_refused_like_everybody(site: Site, people: People) -> None:
    site.start()
    alien = stranger("alien", 2_000_000_002)
    assert first_line(site.run(alien, "list").stderr) == f"list failed: {DENIED}"
    site.enrol_first(people.alice)
    assert site.run(alien, "list").stderr == NOT_AUTHENTICATED
