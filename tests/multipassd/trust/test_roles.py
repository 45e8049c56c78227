"""Roles in the store: each in a file of its own, and the lesser one wherever there is a doubt."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multipassd.trust import names
from multipassd.trust.disk import StoreDisk
from multipassd.trust.lock import LastAdmin, StoreError
from multipassd.trust.state import TrustState
from multipassd.trust.store import CLIENTS_NAME, NAMES, TrustStore
from protocol.roles import Role
from tests.multipassd.trust.store_samples import NAME, der, pem

ADMIN, VIEWER = Role.ADMIN, Role.VIEWER


def opened(directory: Path) -> TrustStore:
    store = TrustStore(directory)
    store.load()
    return store


@pytest.fixture(params=[Role.VIEWER, Role.USER], ids=str)
def lesser(request: pytest.FixtureRequest) -> Role:
    """Each role that has a file beside the admins'."""
    role: Role = request.param
    return role


def filled(tmp_path: Path, lesser: Role = VIEWER) -> TrustStore:
    """1 is an admin; 2 and 3 have the lesser role, and are one person."""
    store = opened(tmp_path / "certs")
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "invitation", None, "bob", role=lesser)
    store.add(der(3), "invitation", None, "bob", role=lesser)
    return store


def roles(store: TrustStore) -> dict[int, Role]:
    return {n: role for n in (1, 2, 3) if (role := store.role_of(NAME[n]))}


def side(store: TrustStore, lesser: Role) -> Path:
    return store.directory / NAMES[lesser]


def test_viewers_are_in_a_file_that_multipass_1_16_does_not_read(
    tmp_path: Path, lesser: Role
) -> None:
    store = filled(tmp_path, lesser)
    assert store.path.read_bytes() == pem(1)
    assert side(store, lesser).read_bytes() == pem(2) + pem(3)
    assert side(store, lesser).stat().st_mode & 0o777 == 0o600
    for each in (store, opened(store.directory)):
        assert roles(each) == {1: ADMIN, 2: lesser, 3: lesser}
        assert not each.problems and each.state is TrustState.TRUSTING
        assert [(r.name, r.role) for r in each.records() if r.name == "bob"] == [
            ("bob", lesser)
        ] * 2


def test_a_certificate_in_two_files_has_the_lesser_role_and_a_warning(
    tmp_path: Path, lesser: Role
) -> None:
    store = filled(tmp_path, lesser)
    with store.path.open("ab") as file:
        file.write(pem(2))
    for each in (store, opened(store.directory)):
        each.refresh()
        assert roles(each) == {1: ADMIN, 2: lesser, 3: lesser}
        assert any(NAME[2][:16] in text and "lesser role" in text for text in each.problems)


def test_a_certificate_appended_by_hand_is_an_admins_as_1_16_documents(
    tmp_path: Path, lesser: Role
) -> None:
    store = filled(tmp_path, lesser)
    with store.path.open("ab") as file:
        file.write(pem(4))
    store.refresh()
    assert store.role_of(NAME[4]) is ADMIN


@pytest.mark.parametrize("loss", ["missing", "emptied", "garbled", "writable by others"])
def test_the_loss_of_the_viewers_file_makes_no_viewer_an_admin(
    tmp_path: Path, lesser: Role, loss: str
) -> None:
    store = filled(tmp_path, lesser)
    with store.path.open("ab") as file:
        file.write(pem(2))  # in both files, so only the record is left of the lesser role
    store.refresh()
    match loss:
        case "missing":
            side(store, lesser).unlink()
        case "emptied":
            side(store, lesser).write_bytes(b"")
            os.utime(side(store, lesser), (1, 1))
        case "garbled":
            side(store, lesser).write_bytes(b"no certificate\n")
        case "writable by others":
            side(store, lesser).chmod(0o666)
    for each in (store, opened(store.directory)):
        each.refresh()
        assert roles(each) == {1: ADMIN, 2: lesser}  # 3 has no certificate left to be seen by
        assert each.damaged_roles()[lesser] in each.problems
        each.flush(everything=True)
        with pytest.raises(StoreError):
            each.add(der(3), "passphrase", None)
        with pytest.raises(StoreError):
            each.grant([NAME[2]], ADMIN)
        assert roles(each) == {1: ADMIN, 2: lesser}
        assert each.add(der(5), "passphrase", None) and each.remove(NAME[5], 0)  # admins as before


def test_a_damaged_admins_file_lets_no_viewer_in_either(tmp_path: Path, lesser: Role) -> None:
    store = filled(tmp_path, lesser)
    store.path.unlink()
    store.refresh()
    assert store.state is TrustState.DAMAGED and not roles(store)


def test_a_granted_role_counts_at_once_and_in_the_next_process(
    tmp_path: Path, lesser: Role
) -> None:
    store = filled(tmp_path, lesser)
    assert store.grant([NAME[2], NAME[3]], ADMIN) == sorted([NAME[2], NAME[3]])
    for each in (store, opened(store.directory)):
        assert set(roles(each).values()) == {ADMIN} and not each.problems
    assert store.grant([NAME[1]], lesser) == [NAME[1]]
    assert store.grant([NAME[1]], lesser) == []
    for each in (store, opened(store.directory)):
        assert roles(each) == {1: lesser, 2: ADMIN, 3: ADMIN} and not each.problems
        assert {r.name: r.role for r in each.records()} == {"alice": lesser, "bob": ADMIN}


def test_the_last_admin_stays_unless_it_is_forced(tmp_path: Path, lesser: Role) -> None:
    store = filled(tmp_path, lesser)
    with pytest.raises(LastAdmin, match="No administrator"):
        store.revoke([NAME[1], NAME[2]], 0)
    with pytest.raises(LastAdmin, match="No administrator"):
        store.grant([NAME[1]], lesser)
    assert roles(store) == {1: ADMIN, 2: lesser, 3: lesser}
    assert store.grant([NAME[1]], lesser, force=True) == [NAME[1]]
    for each in (store, opened(store.directory)):
        assert each.state is TrustState.EMPTY and roles(each) == {1: lesser, 2: lesser, 3: lesser}


def test_whoever_is_removed_is_gone_from_both_files(tmp_path: Path, lesser: Role) -> None:
    store = filled(tmp_path, lesser)
    with store.path.open("ab") as file:
        file.write(pem(2))
    assert store.revoke([NAME[2], NAME[3]], 0) == sorted([NAME[2], NAME[3]])
    for each in (store, opened(store.directory)):
        assert roles(each) == {1: ADMIN} and not each.problems
    store.flush(everything=True)
    assert opened(store.directory).take_changes() == (frozenset(), frozenset())


def test_a_role_given_by_hand_is_put_on_record(tmp_path: Path, lesser: Role) -> None:
    store = filled(tmp_path, lesser)
    side(store, lesser).write_bytes(pem(3))
    with store.path.open("ab") as file:
        file.write(pem(2))
    again = opened(store.directory)
    assert roles(again) == {1: ADMIN, 2: ADMIN, 3: lesser}
    again.flush(everything=True)
    assert NAME[2] in again.take_changes()[0]
    side(store, lesser).write_bytes(pem(3))
    assert roles(opened(store.directory)) == {1: ADMIN, 2: ADMIN, 3: lesser}


def test_a_name_that_owns_instances_is_not_given_to_a_user_who_comes_later(tmp_path: Path) -> None:
    """Of another person with that name, who was revoked, say."""
    store, uid = opened(tmp_path / "certs"), os.getuid()
    name = names.default(uid, NAME[2])
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "passphrase", uid, owners={name})
    assert {r.name for r in store.records()} == {"alice", f"{name}-2"}
    store.remove(NAME[2], 0)
    store.add(der(2), "invitation", uid, name, owners={name})
    store.add(der(3), "passphrase", uid, owners={name})
    assert [r.name for r in store.records() if r.name == name] == [name, name]


def test_a_users_next_certificate_gets_no_more_than_the_first_has(
    tmp_path: Path, lesser: Role
) -> None:
    store = opened(tmp_path / "certs")
    uid = os.getuid()
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "passphrase", uid, role=lesser)
    store.add(der(3), "passphrase", uid)
    assert store.name_of(NAME[2]) == store.name_of(NAME[3]) == names.default(uid, NAME[2])
    assert store.role_of(NAME[3]) is lesser


def test_another_person_of_the_same_name_gets_a_number(tmp_path: Path) -> None:
    store = opened(tmp_path / "certs")
    uid = os.getuid()
    name = names.default(uid, NAME[2])
    store.add(der(1), "multipass-trust", None, name)
    store.add(der(2), "passphrase", uid)
    assert store.name_of(NAME[2]) == f"{name}-2"
    assert store.role_of(NAME[2]) is ADMIN


@pytest.mark.parametrize(
    "name",
    ["", "Alice", "аlice", "a" * 33, "a b", "a\x1b[2J", "1a", "root", "client-12345678", "-a"],
)
def test_names_that_look_like_others_are_refused(name: str) -> None:
    assert names.complaint(name)


def test_plain_names_are_taken() -> None:
    for name in ("alice", "alice.smith", "a_b-c.9", "_x", "deadbeef"):
        assert not names.complaint(name)


# A kill at each write


class Killed(BaseException):
    pass


def steps(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch, stop_at: int) -> int:
    """Run it and stop it, as kill -9 does, before its write with that number; how many it began."""
    count = 0

    def counted(module: object, name: str) -> None:
        original = getattr(module, name)

        def step(*arguments: object, **more: object) -> object:
            nonlocal count
            if count >= stop_at:
                raise Killed
            count += 1
            return original(*arguments, **more)

        monkeypatch.setattr(module, name, step)

    from multipassd.trust import clients
    from multipassd.trust.enrolled_marker import EnrolledMarker

    counted(StoreDisk, "add")
    counted(StoreDisk, "create")
    counted(StoreDisk, "overwrite")
    counted(clients, "append")
    counted(EnrolledMarker, "set")
    counted(EnrolledMarker, "clear")
    try:
        run()
    except Killed:
        pass
    finally:
        monkeypatch.undo()
    return count


CHANGES: dict[str, tuple[Callable[[TrustStore], object], dict[int, Role]]] = {
    "grant admin": (lambda s: s.grant([NAME[2]], ADMIN), {1: ADMIN, 2: ADMIN, 3: VIEWER}),
    "grant viewer": (
        lambda s: s.grant([NAME[1]], VIEWER, force=True),
        {1: VIEWER, 2: VIEWER, 3: VIEWER},
    ),
    "revoke a viewer": (lambda s: s.revoke([NAME[2]], 0), {1: ADMIN, 3: VIEWER}),
    "revoke all": (lambda s: s.revoke([NAME[1], NAME[2], NAME[3]], 0, force=True), {}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("lose_viewers", [False, True])
def test_a_kill_at_each_write_leaves_each_client_its_old_role_or_its_new_one(
    tmp_path: Path, lesser: Role, monkeypatch: pytest.MonkeyPatch, change: str, lose_viewers: bool
) -> None:
    run, after = CHANGES[change]
    for stop_at in range(20):
        directory = tmp_path / str(stop_at)
        directory.mkdir()
        store = filled(directory)
        before = roles(store)
        done = steps(partial(run, store), monkeypatch, stop_at)
        if lose_viewers and side(store, lesser).exists():
            side(store, lesser).unlink()
        again = opened(store.directory)
        for number in (1, 2, 3):
            role = again.role_of(NAME[number])
            most = max(before.get(number, 0), after.get(number, 0))
            assert (role or 0) <= most, (change, stop_at, number)
            if not lose_viewers:
                assert role in (before.get(number), after.get(number)), (change, stop_at, number)
        if done < stop_at:
            break
        if not lose_viewers and again.state is not TrustState.DAMAGED:  # repeated, it is completed
            run(again)
            assert roles(opened(again.directory)) == after
    else:
        raise AssertionError("it never ended")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "view", "grant", "demote", "revoke"]),
                          st.integers(1, 4)), max_size=12))  # fmt: skip
def test_any_order_of_changes_ends_as_a_table_of_roles_would(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, int]]
) -> None:
    store = opened(tmp_path_factory.mktemp("store") / "certs")
    expected: dict[int, Role] = {}
    for what, number in changes:
        who = NAME[number]
        match what:
            case "add" | "view":
                role = ADMIN if what == "add" else VIEWER
                assert store.add(der(number), "test", None, "x", role=role) == (
                    number not in expected
                )
                expected.setdefault(number, role)
            case "grant" | "demote":
                role = ADMIN if what == "grant" else VIEWER
                store.grant([who], role, force=True)
                if number in expected:
                    expected[number] = role
            case _:
                assert bool(store.revoke([who], None, force=True)) == (number in expected)
                expected.pop(number, None)
    for each in (store, opened(store.directory)):
        assert {n: r for n in (1, 2, 3, 4) if (r := each.role_of(NAME[n]))} == expected
        assert not each.problems


def test_a_person_with_many_certificates_is_granted_and_revoked_by_as_many_looks_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lesser: Role
) -> None:
    """A look at a file of 10,000 clients costs a tenth of a second."""
    looks: list[Path] = []
    read = StoreDisk.read

    def looked(disk: StoreDisk) -> tuple[bytes, os.stat_result]:
        looks.append(disk.path)
        return read(disk)

    monkeypatch.setattr(StoreDisk, "read", looked)

    def counted(change: Callable[[], object]) -> int:
        looks.clear()
        change()
        return len(looks)

    found = []
    for count in (1, 30):
        store = opened(tmp_path / str(count))
        for number in range(1, count + 2):
            name = "alice" if number == 1 else "bob"
            store.add(der(number), "by test", None, name)
        bob = names.choose(store.records(), "bob")
        assert len(bob) == count
        down = counted(partial(store.grant, bob, lesser))
        up = counted(partial(store.grant, bob, ADMIN))
        assert {store.role_of(each) for each in bob} == {ADMIN}
        gone = counted(partial(store.revoke, bob, 0))
        assert store.fingerprints() == {NAME[1]}
        assert opened(store.directory).fingerprints() == {NAME[1]}
        found.append((down, up, gone))
    assert found[0] == found[1]


def test_a_user_with_a_lesser_role_under_any_name_gets_no_more_by_the_passphrase(
    tmp_path: Path, lesser: Role
) -> None:
    store = opened(tmp_path / "certs")
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "invitation", 4711, "robert", role=lesser)
    store.add(der(3), "passphrase", 4711)
    assert store.role_of(NAME[3]) is lesser
    store.add(der(4), "passphrase", 4712)
    assert store.role_of(NAME[4]) is ADMIN


@pytest.mark.parametrize("loss", ["missing", "writable by others"])
def test_while_its_file_is_lost_a_lesser_role_gets_no_more_by_the_passphrase(
    tmp_path: Path, lesser: Role, loss: str
) -> None:
    store, uid = opened(tmp_path / "certs"), 4711
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "invitation", uid, "bob", role=lesser)
    if loss == "missing":
        side(store, lesser).unlink()
    else:
        side(store, lesser).chmod(0o666)
    for each in (store, opened(store.directory)):
        each.refresh()
        assert [record.name for record in each.hidden()] == ["bob"]
        with pytest.raises(StoreError):
            each.add(der(3), "passphrase", uid)
        assert each.role_of(NAME[3]) is None
        assert each.role_of_person("bob") is lesser


def test_once_the_records_are_lost_the_passphrase_gives_no_more_than_a_lesser_role(
    tmp_path: Path, lesser: Role
) -> None:
    store = opened(tmp_path / "certs")
    store.add(der(1), "first client", 0, "alice")
    store.add(der(2), "invitation", 4711, "bob", role=lesser)
    (store.directory / CLIENTS_NAME).unlink()
    for each, number in ((store, 3), (opened(store.directory), 4)):
        each.flush(everything=True)
        each.add(der(number), "passphrase", 4711)
        assert each.role_of(NAME[number]) is lesser
