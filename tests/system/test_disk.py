"""A disk that is full or read-only: a clear error each time, and nothing is lost by it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.certificates import make_client
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust
from tests.system.people import ROOT, People
from tests.system.site import EMPTY_LIST, ROOT_AUTHENTICATED, Done, Site, fingerprint_of

PAGE = 4096  # what tmpfs gives out at a time


def fill(disk: Path) -> Path:
    """Take all the space there is; remove the returned file to give it back."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            return ballast


def fill_last_page(store: Path) -> None:
    """Comments up to the end of the store's last page, so that one more block needs another."""
    missing = -store.stat().st_size % PAGE
    with store.open("ab") as file:
        file.write(b"#" * (missing - 100) + b"\n")


def remount(disk: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk)], check=True)


def assert_clear_failure(done: Done, word: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith(f"{word} failed: "), done
    assert len(done.stderr) > 60, "says what happened and why"
    assert "Traceback" not in done.stderr


def test_on_a_full_disk_the_first_client_gets_a_clear_error_and_loses_nothing(
    site: Site, people: People, small_disk: Path
) -> None:
    site.start()
    ballast = fill(small_disk)
    for person in (people.alice, people.dave):
        done = site.run(person, "list")
        assert_clear_failure(done, "list")
        assert "No space left on device" in done.stderr
        assert "Free some space" in done.stderr
    assert site.mode_and_group()[0] == "660", "still the admin group's"
    assert site.raw_call(people.alice, "ping") == "16 "
    ballast.unlink()
    site.enrol_first(people.alice)
    assert len(site.stored()) == 1


def test_on_a_full_disk_the_trusted_are_served_and_no_half_certificate_stays(
    site: Site, people: People, small_disk: Path
) -> None:
    site.start()
    site.enrol_first(people.alice)
    fill_last_page(site.store)
    before = site.store.read_bytes()
    ballast = fill(small_disk)
    done = site.run(ROOT, "authenticate")
    assert_clear_failure(done, "authenticate")
    assert "No space left on device" in done.stderr
    assert site.store.read_bytes() == before
    assert site.run(people.alice, "list").stdout == EMPTY_LIST
    assert site.raw_call(people.alice, "ping") == "0"
    ballast.unlink()
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED
    assert site.trusted(people.alice)
    assert site.trusted(ROOT)


def remove_by_call(site: Site, who: str) -> None:
    with GrpcClient(site.daemon, make_client()) as root:
        answer = root.call("Trust/remove", fingerprint=who)
    assert answer.replies and answer.replies[0].removed, answer


def remove_by_program(site: Site, who: str) -> None:
    Trust(site.sandbox).done("remove", who)


def remove_without_daemon(site: Site, who: str) -> None:
    site.daemon.stop()
    remove_by_program(site, who)
    site.daemon.start()


REMOVALS = [remove_by_call, remove_by_program, remove_without_daemon]


@pytest.mark.parametrize("remove", REMOVALS)
def test_on_a_full_disk_trust_can_be_taken_back(
    site: Site, people: People, small_disk: Path, remove: Callable[[Site, str], None]
) -> None:
    site.start()
    site.enrol_first(people.alice)
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED
    ballast = fill(small_disk)
    remove(site, fingerprint_of(site.certificate(people.alice)))
    assert site.raw_call(people.alice, "ping") == "16 "
    assert "not authenticated" in site.run(people.alice, "list").stderr
    assert site.run(ROOT, "list").stdout == EMPTY_LIST
    remove(site, fingerprint_of(site.certificate(ROOT)))
    assert site.raw_call(ROOT, "ping") == "16 "
    site.until(lambda: site.mode_and_group()[0] == "660", "the admin group's socket again")
    ballast.unlink()
    site.until(lambda: site.run(people.alice, "list").stdout == EMPTY_LIST, "a first client")
    assert site.stored() == {fingerprint_of(site.certificate(people.alice))}


def test_it_starts_on_a_full_disk(site: Site, people: People, small_disk: Path) -> None:
    ballast = fill(small_disk)
    site.start()
    assert_clear_failure(site.run(people.alice, "list"), "list")
    ballast.unlink()
    site.enrol_first(people.alice)


def test_it_starts_on_an_empty_read_only_disk(site: Site, people: People, small_disk: Path) -> None:
    remount(small_disk, "ro")
    site.start()
    assert_clear_failure(site.run(people.alice, "list"), "list")
    assert_clear_failure(site.run(ROOT, "authenticate"), "authenticate")
    assert site.raw_call(people.alice, "ping") == "16 "
    assert site.raw_call(people.alice, "wait_ready") == "0"
    remount(small_disk, "rw")
    site.until(lambda: site.run(people.alice, "list").stdout == EMPTY_LIST, "the mended disk")
    assert site.trusted(people.alice)


def test_with_a_read_only_store_the_trusted_are_served(
    site: Site, people: People, small_disk: Path
) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, "open")
    site.daemon.stop()
    remount(small_disk, "ro")
    site.daemon.start()
    assert site.run(people.alice, "list").stdout == EMPTY_LIST
    assert site.raw_call(people.alice, "ping") == "0"
    done = site.run(people.bob, "authenticate", "open")
    assert_clear_failure(done, "authenticate")
    assert "Read-only file system" in done.stderr
    assert_clear_failure(site.run(ROOT, "authenticate"), "authenticate")
    remount(small_disk, "rw")
    assert site.run(people.bob, "authenticate", "open").returncode == 0
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED


def test_settings_on_a_full_disk_stay_as_they_were(
    site: Site, people: People, small_disk: Path
) -> None:
    settings = site.sandbox.storage / "settings"
    site.start(env={"DAEMON_CONFIG_HOME": os.fspath(settings)})
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, "kept")
    ballast = fill(small_disk)
    done = site.run(people.alice, "set", "local.passphrase=lost")
    assert_clear_failure(done, "set")
    assert "lost" not in done.stderr
    ballast.unlink()
    assert site.run(people.bob, "authenticate", "kept").returncode == 0
