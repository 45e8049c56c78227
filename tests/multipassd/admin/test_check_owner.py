"""check and --repair where root looks at the service of an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import repair_modes
from multipassd.admin.access.verb import TrustError
from tests.multipassd.admin.trust import Trust, client

UID = 2500  # of the service's user; needs no account
OTHER = 2501

pytestmark = pytest.mark.root


@pytest.fixture
def theirs(trust: Trust) -> Trust:
    """A store with one client, in the data directory of UID."""
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    for path in (trust.data, *trust.data.rglob("*")):
        os.chown(path, UID, UID)
    return trust


def owners(trust: Trust) -> set[int]:
    return {path.stat().st_uid for path in (trust.store.parent, *trust.store.parent.iterdir())}


def test_the_store_of_a_services_own_user_is_sound_and_left_alone(theirs: Trust) -> None:
    said = theirs.run("check", "--repair").stdout
    assert "1 trusted" in said
    assert "belongs to" not in said and "chown" not in said and "Put owner" not in said
    assert owners(theirs) == {UID}
    assert "-" in theirs.done("list")


@pytest.mark.parametrize("wrong", [0, OTHER])
def test_repair_gives_the_store_to_the_services_user(theirs: Trust, wrong: int) -> None:
    for path in (theirs.store, theirs.store.parent):
        os.chown(path, wrong, wrong)
    said = theirs.run("check").stdout
    assert "check --repair`, which keeps what it holds" in said
    assert "1 trusted" in theirs.run("check", "--repair").stdout
    assert owners(theirs) == {UID}
    assert theirs.store.stat().st_mode & 0o777 == 0o600


def place(data: Path, of_unit: bool = False) -> Place:
    return Place(data, data / "machines", data / "c", data / "root.pem", None, of_unit)


def test_repair_of_the_packaged_service_gives_the_store_to_root(theirs: Trust) -> None:
    repair_modes(place(theirs.data, of_unit=True), dry_run=False)
    assert {path.stat().st_uid for path in (theirs.store.parent, theirs.store)} == {0}


def test_repair_gives_away_no_file_behind_a_link(theirs: Trust, tmp_path: Path) -> None:
    roots = tmp_path / "roots"
    roots.mkdir()
    victim = roots / theirs.store.name
    victim.write_bytes(theirs.store.read_bytes())
    theirs.store.unlink()
    os.link(victim, theirs.store)
    with pytest.raises(TrustError, match="hard link"):
        repair_modes(place(theirs.data), dry_run=False)
    directory = theirs.store.parent
    directory.rename(directory.with_name("away"))
    directory.symlink_to(roots)
    with pytest.raises(TrustError, match="symbolic link"):
        repair_modes(place(theirs.data), dry_run=False)
    assert victim.stat().st_uid == 0
