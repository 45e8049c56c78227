"""Invitations: each lets one certificate in, once, with no more than was promised."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from multipassd.audit.trail import Audit
from multipassd.auth import invitations as module
from multipassd.auth.enrolment import Enrolment
from multipassd.auth.invitations import (
    BACK,
    InvitationRefused,
    Invitations,
)
from multipassd.auth.inviting import FirstMustBeAdmin, NoClient, NotInvited, Wish
from multipassd.auth.peer import Peer
from multipassd.trust.disk import StoreDisk
from multipassd.trust.lock import LastAdmin
from multipassd.trust.reader import INVITATIONS_NAME
from multipassd.trust.state import FirstClient, TrustState
from multipassd.trust.store import TrustStore, always
from protocol.errors import StorageFailed
from protocol.invitation_line import is_line
from protocol.pem import fingerprint
from protocol.roles import Role
from tests.multipassd.trust.store_samples import NAME, der

ADMIN, VIEWER = Role.ADMIN, Role.VIEWER
HOUR = 3600


def peer(number: int) -> Peer:
    return Peer(None, der(number), fingerprint(der(number)))


class Site:
    """A store with an admin (1), and its enrolments."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = TrustStore(directory)
        self.store.load()
        self.enrolment = Enrolment(self.store, Audit(), lambda: None, always)

    def invite(
        self,
        name: str = "bob",
        role: Role | None = None,
        seconds: int = HOUR,
        first: FirstClient = FirstClient.ADMIN,
    ) -> str:
        wish = Wish(name, role, seconds)
        return asyncio.run(self.enrolment.invite(wish, peer(1), first)).line

    def redeem(self, line: str, number: int) -> None:
        asyncio.run(self.enrolment.redeem(peer(number), line))

    def again(self) -> Site:
        return Site(self.directory)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "certs")
    made.store.add(der(1), "first client", None, "alice")
    return made


def test_a_line_lets_one_client_in_once_with_its_name_and_role(site: Site) -> None:
    line = site.invite()
    assert is_line(line)
    site.redeem(line, 2)
    assert site.store.holder_of(NAME[2]) == (VIEWER, "bob")
    for number in (2, 3):
        with pytest.raises(InvitationRefused):
            site.again().redeem(line, number)
    assert site.store.role_of(NAME[3]) is None
    site.redeem(site.invite("carol", ADMIN), 3)
    assert site.store.holder_of(NAME[3]) == (ADMIN, "carol")


def test_the_line_is_kept_as_a_hash_for_root_alone(site: Site) -> None:
    secret = site.invite().split("-")[1]
    path = site.directory / INVITATIONS_NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(
        secret in each.read_text() for each in site.directory.iterdir() if each.is_file()
    )


def test_a_line_that_is_not_whole_is_told_apart_from_one_that_is_void(site: Site) -> None:
    line = site.invite()
    for garbled in (line[:-1], line[:9] + ("a" if line[9] != "a" else "b") + line[10:], "mpi1-"):
        with pytest.raises(InvitationRefused, match="not the whole"):
            site.redeem(garbled, 2)
    site.redeem(f"  {line}.for-later-releases\n", 2)


def test_it_expires_and_a_clock_that_is_set_back_makes_none_good(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, now = site.invite(), time.time()
    early, late = now - BACK - 1, now + HOUR + 1
    for moment, why in ((early, "clock"), (late, "expired"), (now, "expired")):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        with pytest.raises(InvitationRefused, match=why):
            site.redeem(line, 2)
    line = site.invite()
    monkeypatch.setattr(time, "time", lambda: now + 10 * HOUR)
    asyncio.run(site.enrolment.upkeep())
    monkeypatch.setattr(time, "time", lambda: now)
    with pytest.raises(InvitationRefused, match="expired"):
        site.redeem(line, 2)


def test_a_clock_far_ahead_is_named_in_the_log_and_new_ones_expire_after_it_is_right_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    line, now = site.invite("bob"), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3650 * 24 * HOUR)
    with caplog.at_level(logging.INFO):
        asyncio.run(site.enrolment.upkeep())
    (said,) = [each.getMessage() for each in caplog.records if "has expired" in each.getMessage()]
    ahead = time.strftime("%Y-%m-%d", time.gmtime(now + 3650 * 24 * HOUR))
    assert "the invitation of bob" in said and f"the clock says {ahead}" in said
    assert line not in said
    monkeypatch.setattr(time, "time", lambda: now)
    later = site.invite("carol")
    monkeypatch.setattr(time, "time", lambda: now + HOUR + 1)
    asyncio.run(site.enrolment.upkeep())
    kept = Invitations(site.directory / INVITATIONS_NAME)
    assert kept.waiting(now) == [], "forgotten on time: the clock's jump has put no look off"
    with pytest.raises(InvitationRefused):
        site.redeem(later, 2)


def test_a_clock_that_is_set_back_for_a_time_destroys_no_invitation(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, now = site.invite("bob"), time.time()
    monkeypatch.setattr(time, "time", lambda: now - 24 * HOUR)
    site.invite("carol")
    asyncio.run(site.enrolment.upkeep())
    assert len(asyncio.run(site.enrolment.invitations())) == 2
    monkeypatch.setattr(time, "time", lambda: now)
    site.redeem(line, 2)
    assert site.store.holder_of(NAME[2]) == (VIEWER, "bob")


def test_one_that_is_taken_back_between_claim_and_enrolment_lets_no_client_in(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by multipass-trust, which does not wait for the service."""
    line, others = site.invite("bob"), Invitations(site.directory / INVITATIONS_NAME)
    claim = Invitations.claim

    def and_take_back(self: Invitations, *arguments: Any) -> None:
        claim(self, *arguments)
        assert len(others.withdraw(time.time(), name="bob")) == 1

    monkeypatch.setattr(Invitations, "claim", and_take_back)
    with pytest.raises(InvitationRefused, match="taken back"):
        site.redeem(line, 2)
    assert site.store.role_of(NAME[2]) is None and len(site.store) == 1


def test_of_two_who_offer_it_at_once_one_wins(site: Site) -> None:
    line = site.invite()

    async def both() -> list[object]:
        offers = [site.enrolment.redeem(peer(number), line) for number in (2, 3, 4)]
        return await asyncio.gather(*offers, return_exceptions=True)

    results = asyncio.run(both())
    assert sum(each is None for each in results) == 1
    assert len(site.store) == 2


@pytest.mark.parametrize(
    "name",
    ["root", "Bob", "b\u043eb", "client-12345678", "", "-bob", "--force", "b" * 33, "b" * 64,
     "bob ",
     "bob\n", "b\x1b[2Job", "b\u200bob", "bob\u202e", "1bob", "..", "b/ob", "b'ob"],
)  # fmt: skip
def test_a_name_that_could_pass_for_another_is_refused(site: Site, name: str) -> None:
    with pytest.raises(NotInvited):
        site.invite(name)


def test_a_name_that_is_there_keeps_its_role_and_who_is_in_gets_no_other(site: Site) -> None:
    with pytest.raises(NotInvited, match="admin already"):
        site.invite("alice", VIEWER)
    site.redeem(site.invite("alice"), 2)
    assert site.store.holder_of(NAME[2]) == (ADMIN, "alice")
    site.redeem(line := site.invite("bob"), 3)
    line = site.invite("carol", ADMIN)
    with pytest.raises(InvitationRefused, match="trusted already, as viewer"):
        site.redeem(line, 3)
    site.redeem(line, 4)  # it was not used up


def test_the_first_who_is_invited_is_an_admin_where_others_could_not_connect(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "certs")
    for role in (None, VIEWER):
        with pytest.raises(FirstMustBeAdmin):
            site.invite(role=role)
    line = site.invite(role=ADMIN)
    assert site.store.state is TrustState.EMPTY
    site.redeem(line, 2)
    assert site.store.holder_of(NAME[2]) == (ADMIN, "bob")
    assert site.again().store.state is TrustState.TRUSTING
    with pytest.raises(InvitationRefused):
        site.redeem(line, 3)


def test_where_none_becomes_the_first_by_itself_a_viewer_can_be_invited_first(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path / "certs")
    site.redeem(site.invite(first=FirstClient.NOBODY), 2)
    assert site.store.holder_of(NAME[2]) == (VIEWER, "bob")
    assert site.store.state is TrustState.EMPTY


def test_an_invited_first_admin_and_a_first_connection_at_once_leave_one_that_was_adopted_or_none(
    tmp_path: Path,
) -> None:
    """Whoever comes second is what the invitation says, or a stranger."""
    for turn in range(8):
        site = Site(tmp_path / str(turn))
        line = site.invite(role=ADMIN)

        async def both(site: Site = site, line: str = line, turn: int = turn) -> bool:
            adopting, redeeming = (
                site.enrolment.adopt(peer(3)),
                site.enrolment.redeem(peer(2), line),
            )
            if turn % 2:
                return (await asyncio.gather(adopting, redeeming))[0]
            return (await asyncio.gather(redeeming, adopting))[1]

        adopted = asyncio.run(both())
        assert site.store.role_of(NAME[2]) is ADMIN
        assert site.store.role_of(NAME[3]) is (ADMIN if adopted else None)
        assert adopted == bool(turn % 2)


def test_a_grant_and_a_revocation_count_for_invitations_that_wait(site: Site) -> None:
    by = peer(1)
    site.redeem(site.invite("bob", ADMIN), 2)
    waits = site.invite("bob")
    assert asyncio.run(site.enrolment.grant("bob", VIEWER, by, force=False)) == [NAME[2]]
    with pytest.raises(InvitationRefused):
        site.redeem(waits, 3)
    waits = site.invite("bob")
    assert asyncio.run(site.enrolment.revoke("bob", by, force=False)) == ([NAME[2]], 1)
    with pytest.raises(InvitationRefused):
        site.redeem(waits, 3)
    with pytest.raises(NoClient):
        asyncio.run(site.enrolment.revoke("bob", by, force=False))
    with pytest.raises(LastAdmin):
        asyncio.run(site.enrolment.revoke("alice", by, force=False))
    with pytest.raises(LastAdmin):
        asyncio.run(site.enrolment.grant(NAME[1][:8], VIEWER, by, force=False))
    assert site.again().store.role_of(NAME[1]) is ADMIN


def test_a_damaged_file_lets_none_in_and_is_left_alone(site: Site) -> None:
    line, path = site.invite(), site.directory / INVITATIONS_NAME
    (entry,) = json.loads(path.read_text())["invitations"]
    broken = ["{", "[]", '{"invitations": [{}]}', json.dumps({"invitations": [1]})]
    for moment in (float("nan"), float("inf"), "tomorrow"):  # it would never expire
        broken.append(json.dumps({"invitations": [entry | {"expires": moment}]}))
    for text in broken:
        path.write_text(text)
        with pytest.raises(StorageFailed, match="the journal of the service says why"):
            site.redeem(line, 2)
        with pytest.raises(StorageFailed, match="Remove that"):
            site.invite()
        assert path.read_text() == text
    assert len(site.store) == 1


class Killed(BaseException):
    pass


def test_a_file_that_others_could_write_lets_none_in_and_strangers_hear_no_path(site: Site) -> None:
    line = site.invite()
    file = site.directory / INVITATIONS_NAME
    file.chmod(0o666)
    with pytest.raises(StorageFailed) as refused:
        site.redeem(line, 2)
    assert str(site.directory) not in refused.value.message
    with pytest.raises(StorageFailed, match="others may write to it"):
        asyncio.run(site.enrolment.invitations())
    file.chmod(0o600)
    site.redeem(line, 2)
    assert site.store.role_of(fingerprint(der(2))) is Role.VIEWER


def test_a_kill_at_each_write_leaves_the_line_to_its_client_or_lets_that_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop_at in range(20):
        site = Site(tmp_path / str(stop_at))
        site.store.add(der(1), "first client", None, "alice")
        line = site.invite()
        count = stops(monkeypatch, stop_at)
        try:
            site.redeem(line, 2)
        except Killed:
            pass
        finally:
            monkeypatch.undo()
        again = site.again()
        assert again.store.role_of(NAME[2]) in (None, VIEWER)
        if count() <= stop_at:
            break
        revoked = Site(tmp_path / f"revoked {stop_at}")
        shutil.copytree(site.directory, revoked.directory, dirs_exist_ok=True)
        asyncio.run(revoked.again().enrolment.revoke("bob", peer(1), force=False))
        assert revoked.again().store.role_of(NAME[2]) is None, "revoked at once, by the name"
        if count() > 1 or again.store.role_of(NAME[2]):  # it is claimed
            with pytest.raises(InvitationRefused):
                again.redeem(line, 3)
        again.redeem(line, 2)
        assert again.store.role_of(NAME[2]) is VIEWER
        asyncio.run(again.enrolment.revoke("bob", peer(1), force=False))
        with pytest.raises(InvitationRefused):
            again.redeem(line, 2)
    else:
        raise AssertionError("it never ended")
    assert stop_at > 3


def stops(monkeypatch: pytest.MonkeyPatch, stop_at: int) -> Callable[[], int]:
    """Stop, as kill -9 does, before the write with that number; how many were begun or stopped."""
    from multipassd.trust import clients

    count = 0

    def counted(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def step(*arguments: object, **more: object) -> object:
            nonlocal count
            count += 1
            if count > stop_at:
                raise Killed
            return original(*arguments, **more)

        monkeypatch.setattr(owner, name, step)

    counted(StoreDisk, "add")
    counted(StoreDisk, "create")
    counted(clients, "append")
    counted(module, "write_atomically")
    return lambda: count


def test_more_than_the_limit_are_not_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    site.invite(), site.invite()
    with pytest.raises(StorageFailed, match="wait already"):
        site.invite()


def test_a_reset_of_the_store_takes_all_back(site: Site) -> None:
    site.invite()
    site.store.path.write_bytes(b"rubbish")
    site.store.reset()
    assert Invitations(site.directory / INVITATIONS_NAME).waiting(time.time()) == []
