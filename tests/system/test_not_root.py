"""A daemon that an ordinary user runs: that user is its administrator, and nothing is chowned."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.multipassd.admin.trust import Trust
from tests.system.people import ROOT, People
from tests.system.site import DENIED, EMPTY_LIST, NOT_AUTHENTICATED, Site, first_line


@pytest.fixture
def bobs(site: Site, people: People) -> Iterator[Site]:
    """The site with its daemon run by bob, from the copy that he can read."""
    for path in (site.sandbox.root, *site.sandbox.root.iterdir()):
        os.chown(path, people.bob.uid, people.bob.gid)
    site.daemon.run_by(people.bob.uid, people.bob.gid, site.copy)
    yield site


def mode_and_owner(path: Path) -> tuple[str, int, int]:
    status = path.stat()
    return f"{stat.S_IMODE(status.st_mode):o}", status.st_uid, status.st_gid


def test_its_own_user_is_the_administrator(bobs: Site, people: People) -> None:
    bobs.start()
    own = (people.bob.uid, people.bob.gid)
    assert mode_and_owner(bobs.sandbox.socket_path) == ("600", *own)
    done = bobs.run(people.alice, "list")
    assert done.returncode == 2
    assert first_line(done.stderr) == f"list failed: {DENIED}"

    bobs.enrol_first(people.bob)
    assert mode_and_owner(bobs.sandbox.socket_path) == ("666", *own)
    assert mode_and_owner(bobs.store) == ("600", *own)
    bobs.set_passphrase(people.bob, "bobs own")
    assert bobs.run(people.bob, "list").stdout == EMPTY_LIST


def test_repair_by_root_leaves_its_store_to_it(bobs: Site, people: People) -> None:
    bobs.start()
    bobs.enrol_first(people.bob)
    trust = Trust(bobs.sandbox)
    assert "belongs to uid" not in trust.run("check").stdout
    assert "1 trusted" in trust.run("check", "--repair").stdout
    assert mode_and_owner(bobs.store) == ("600", people.bob.uid, people.bob.gid)
    assert bobs.run(people.bob, "list").stdout == EMPTY_LIST


def test_it_warns_once_that_it_is_not_root(bobs: Site, people: People) -> None:
    bobs.start()
    bobs.enrol_first(people.bob)
    bobs.run(people.bob, "list")
    warnings = [line for line in bobs.daemon.log_text().splitlines() if "[warning]" in line]
    assert len(warnings) == 1, warnings
    assert "root" in warnings[0]


def test_others_check_its_certificate_before_they_talk_to_it(bobs: Site, people: People) -> None:
    """Neither root nor the caller serves the socket, so the root certificate must be root's."""
    bobs.start()
    bobs.enrol_first(people.bob)
    done = bobs.run(people.carol, "authenticate", "a secret")
    assert done.returncode == 2
    assert "could not be identified" in done.stderr
    assert str(people.bob.uid) in done.stderr
    os.chown(bobs.sandbox.root_cert, 0, 0)
    assert bobs.run(people.carol, "list").stderr == NOT_AUTHENTICATED


def test_root_may_use_it_too(bobs: Site, people: People) -> None:
    bobs.start()
    os.chown(bobs.sandbox.root_cert, 0, 0)
    bobs.enrol_first(ROOT)
    assert bobs.run(people.bob, "list").stderr == NOT_AUTHENTICATED
