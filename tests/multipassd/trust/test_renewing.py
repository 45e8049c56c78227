"""A certificate in the place of another: at each moment one of them is trusted, as the old one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from multipassd.trust.disk import StoreDisk
from multipassd.trust.lock import StoreError
from multipassd.trust.store import TrustStore
from protocol.roles import Role
from tests.multipassd.trust.store_samples import NAME, der, opened, pem
from tests.multipassd.trust.test_roles import filled, side, steps

OLD_OF = {Role.ADMIN: 1, Role.USER: 2, Role.VIEWER: 2}
NEW = 9
MOST_WRITES = 20


def beside_an_admin(directory: Path, role: Role) -> TrustStore:
    return filled(directory, Role.VIEWER if role is Role.ADMIN else role)


@pytest.mark.parametrize("role", OLD_OF)
def test_the_new_certificate_has_all_that_the_old_one_had(tmp_path: Path, role: Role) -> None:
    store, old = beside_an_admin(tmp_path, role), NAME[OLD_OF[role]]
    store.seen(old, 1234.0)
    before = next(each for each in store.records() if each.fingerprint == old)
    store.renew(old, der(NEW))
    for each in (store, opened(store.directory)):
        assert each.role_of(old) is None and each.role_of(NAME[NEW]) is role
        after = next(each for each in each.records() if each.fingerprint == NAME[NEW])
        assert after == before._replace(fingerprint=NAME[NEW]), "name, how, uid, dates and role"
        assert not each.problems and len(each) == 3
        each.flush(everything=True)
        assert each.take_changes() == (frozenset(), frozenset()), "no change by hand"


def test_multipass_1_16_finds_the_new_certificate_alone_and_blanks(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.renew(NAME[1], der(NEW))
    assert store.path.read_bytes() == b"\n" * len(pem(1)) + pem(NEW)
    assert pem(NEW) not in side(store, Role.VIEWER).read_bytes()


def test_one_that_is_in_two_files_stays_the_lesser(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with store.path.open("ab") as file:
        file.write(pem(2))
    store.renew(NAME[2], der(NEW))
    for each in (store, opened(store.directory)):
        assert each.role_of(NAME[NEW]) is Role.VIEWER and each.role_of(NAME[2]) is None


def test_what_is_trusted_no_longer_is_not_renewed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.revoke([NAME[2]], 0)
    with pytest.raises(StoreError, match="trusted no longer"):
        store.renew(NAME[2], der(NEW))
    assert NAME[NEW] not in opened(store.directory).fingerprints()


@pytest.mark.parametrize(("old", "other"), [(1, 2), (2, 1)])
def test_another_clients_certificate_is_not_taken_over(
    tmp_path: Path, old: int, other: int
) -> None:
    store = filled(tmp_path)
    with pytest.raises(StoreError, match="another client's"):
        store.renew(NAME[old], der(other))
    assert opened(store.directory).fingerprints() == {NAME[1], NAME[2], NAME[3]}


def state(store: TrustStore) -> dict[str, tuple[str, str]]:
    return {each: store.identity(each) for each in sorted(store.fingerprints())}


@pytest.mark.parametrize("role", OLD_OF)
@pytest.mark.parametrize("seen", [False, True])
def test_a_kill_at_each_write_leaves_the_old_or_the_new_with_name_and_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Role, seen: bool
) -> None:
    """`seen`: the next service looks at the store before the client tries again."""
    old, new = NAME[OLD_OF[role]], NAME[NEW]
    found: set[frozenset[str]] = set()
    for stop_at in range(MOST_WRITES):
        directory = tmp_path / str(stop_at)
        directory.mkdir()
        store = beside_an_admin(directory, role)
        store.flush(everything=True)
        before = state(store)
        done = steps(lambda: store.renew(old, der(NEW)), monkeypatch, stop_at)  # noqa: B023
        again = opened(store.directory)
        if seen:
            again.flush(everything=True)
            assert again.take_changes() == (frozenset(), frozenset()), (stop_at, "by hand")
            reported = again.take_renewals()
            assert reported in ({}, {old: new}) and len(state(again)) == 3, stop_at
        after = state(again)
        others = {who: what for who, what in before.items() if who != old}
        mine = {who: what for who, what in after.items() if who in (old, new)}
        assert mine and after == others | mine, stop_at
        assert set(mine.values()) == {before[old]}, (stop_at, "name and role")
        found.add(frozenset(mine))
        if done < stop_at:
            break
        if old in mine:  # the client tries again with the old one, else it has the new one
            again.renew(old, der(NEW))
        final = opened(again.directory)
        final.flush(everything=True)
        assert state(final) == others | {new: before[old]}, stop_at
        assert final.take_changes() == (frozenset(), frozenset())
        kept = {each.fingerprint: each.how for each in final.records()}
        assert kept[new] == ("first client" if role is Role.ADMIN else "invitation")
    else:
        raise AssertionError("it never ended")
    both = [] if seen else [frozenset({old, new})]
    assert found == {frozenset({old}), *both, frozenset({new})}


def test_a_renewal_that_never_came_about_keeps_no_emptied_store_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = filled(tmp_path)
    steps(lambda: store.renew(NAME[1], der(NEW)), monkeypatch, stop_at=1)
    again = opened(store.directory)
    again.revoke([NAME[1], NAME[2], NAME[3]], 0, force=True)
    last = opened(store.directory)
    assert last.state.value == "empty" and not last.fingerprints() and not last.damage


@pytest.mark.parametrize("lasting", [False, True])
def test_after_a_disk_error_in_the_middle_upkeep_or_the_next_try_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    store = filled(tmp_path)
    store.flush(everything=True)

    def fails(disk: StoreDisk, unwanted: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(StoreDisk, "blank", fails)
        with pytest.raises(StoreError, match="not renewed: Input/output error"):
            store.renew(NAME[2], der(NEW))
        assert store.identity(NAME[2]) == store.identity(NAME[NEW]) == ("bob", "viewer")
        if lasting:  # as with `chattr +a`: nothing else is held up by it
            store.seen(NAME[1], 1234.0)
            store.flush(everything=True)
            for each in (store, opened(store.directory)):
                assert each.identity(NAME[2]) == each.identity(NAME[NEW]) == ("bob", "viewer")
                assert {1234.0} == {r.last_seen for r in each.records() if r.name == "alice"}
    if lasting:
        store.renew(NAME[2], der(NEW))
    store.flush(everything=True)
    for each in (store, opened(store.directory)):
        assert each.identity(NAME[NEW]) == ("bob", "viewer") and not each.trusts(NAME[2])
    assert store.take_renewals() == ({} if lasting else {NAME[2]: NAME[NEW]})
    assert store.take_changes() == (frozenset(), frozenset())
