"""What is kept of a cluster: whole after each kill, private, and of one cluster at a time."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.drivers.incus.api import enrolment, joining, membership, tls
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError, Refused, Unreachable
from multipassd.drivers.incus.api.membership import OWNER_TAG, Membership, MembershipDamaged
from multipassd.drivers.incus.api.tls import Impostor
from protocol import certificates
from protocol.errors import StorageFailed
from tests.multipassd.drivers.incus.fake_incus import PROJECT, FakeIncus, Fault, Member, run
from tests.multipassd.drivers.incus.fake_thread import served

CHILD_SECONDS = 100
MOST_STEPS = 200  # of one join; it has some 30


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "incus"


def join_one(directory: Path) -> Membership:
    found: list[Membership] = []

    async def work() -> None:
        async with FakeIncus(directory) as fake:
            found.append(await fake.join())

    run(work)
    return found[0]


def test_nothing_of_it_is_open_to_others(directory: Path) -> None:
    former = os.umask(0)
    try:
        made = join_one(directory)
    finally:
        os.umask(former)
    kept = [directory, *directory.rglob("*")]
    assert {path.name for path in kept} >= {"membership.json", "client.key", "server.crt"}
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert membership.read(directory) == made


def test_without_a_join_there_is_none(directory: Path) -> None:
    assert membership.read(directory) is None
    directory.mkdir()
    assert membership.read(directory) is None and not membership.joined(directory)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:40]),
    "another type": lambda path: path.write_text("[]"),
    "a path in it": lambda path: path.write_text(
        path.read_text().replace('"credentials-', '"../credentials-')
    ),
    "a wrong address": lambda path: path.write_text(path.read_text().replace("127.0.0.1", "a b")),
    "a directory": lambda path: path.rename(path.with_name("x")).with_name(path.name).mkdir(),
    "a link": lambda path: path.symlink_to(path.rename(path.with_name("x"))),
    "a lost key": lambda path: next(path.parent.glob("*/client.key")).unlink(),
    "lost certificates": lambda path: shutil.rmtree(next(path.parent.glob("credentials-*"))),
    "too long": lambda path: path.write_bytes(b" " * (1 << 20)),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_damaged_is_told_with_what_to_do(
    directory: Path, damage: Callable[[Path], object]
) -> None:
    join_one(directory)
    damage(membership.file(directory))
    with pytest.raises(MembershipDamaged, match=r"multipass set local\.incus\.token"):
        membership.read(directory)


def test_a_key_that_is_none_is_told_when_it_is_used(directory: Path) -> None:
    made = join_one(directory)
    (membership.credentials(made, directory) / membership.KEY).write_text("x")
    with pytest.raises(MembershipDamaged):
        tls.context(membership.credentials(made, directory))


def test_the_daemons_id_stays_whatever_becomes_of_memberships(directory: Path) -> None:
    first = join_one(directory)
    assert join_one(directory).daemon == first.daemon  # of another cluster
    membership.file(directory).write_bytes(b"")
    assert join_one(directory).daemon == first.daemon
    membership.leave(directory)
    assert membership.read(directory) is None and not list(directory.glob("credentials-*"))
    assert join_one(directory).daemon == first.daemon
    (directory / membership.DAEMON).unlink()  # by a restore of the rest alone
    assert membership.daemon_id(directory) == first.daemon
    (directory / membership.DAEMON).write_text("x")
    with pytest.raises(MembershipDamaged, match=r"user\.multipass\.daemon"):
        membership.daemon_id(directory)


def test_where_nothing_can_be_written_the_token_is_not_used(directory: Path) -> None:
    directory.write_text("in the way")

    async def work() -> None:
        async with FakeIncus(directory) as fake:
            with pytest.raises(StorageFailed):
                await fake.join()
            assert len(fake.tokens) == 1 and not fake.requests

    run(work)


# -- another server than the token's --------------------------------------------------------------


def test_a_server_with_another_certificate_gets_nothing(directory: Path) -> None:
    async def work() -> None:
        async with FakeIncus(directory) as fake:
            before = await fake.join()
            fake.requests.clear()
            with pytest.raises(Impostor, match="Nothing was sent"):
                await joining.join(fake.token(fingerprint="0" * 64), directory, PROJECT)
            assert not fake.requests
            assert membership.read(directory) == before

    run(work)


def test_an_address_of_another_server_is_passed_over(directory: Path, tmp_path: Path) -> None:
    async def work() -> None:
        other = FakeIncus(tmp_path / "other" / "incus")
        (tmp_path / "other").mkdir()
        async with FakeIncus(directory) as fake, other:
            addresses = ["127.0.0.1:1", other.members[0].address, fake.members[0].address]
            made = await joining.join(fake.token(addresses=addresses), directory, PROJECT)
            assert not other.requests
            api = Api(made, directory)
            for _ in range(2):  # nor is it used later
                assert (await api.get("/1.0"))["auth"] == "trusted"
            await api.close()
            assert not other.requests

    run(work)


def test_a_cluster_that_does_not_answer_is_named(directory: Path) -> None:
    async def work() -> None:
        fake = FakeIncus(directory)
        async with fake:
            token = fake.token()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:\d+.*systemctl status incus"):
            await joining.join(token, directory, PROJECT)

    run(work)
    assert not directory.exists()


# -- a join that is cut short ---------------------------------------------------------------------


def test_a_lost_answer_is_no_lost_token(directory: Path) -> None:
    async def work() -> None:
        async with FakeIncus(directory) as fake:
            token = fake.token()
            fake.faults.append(Fault("GET /1.0/certificates/", "database is locked", times=1))
            with pytest.raises(IncusError, match="database is locked"):
                await joining.join(token, directory, PROJECT)
            assert membership.read(directory) is None and not fake.tokens  # it is used
            assert await joining.join(token, directory, PROJECT) == membership.read(directory)
            assert len(fake.trusted) == 1

    run(work)


def test_after_a_kill_the_former_membership_holds_and_the_token_goes_on(directory: Path) -> None:
    """Killed at each step in turn at which something in the directory is opened, made, renamed or
    removed."""
    with served(FakeIncus(directory)) as fake:
        before = in_child(fake.token(), directory, 0)
        assert before is not None
        steps = 0
        while True:
            steps += 1
            assert steps < MOST_STEPS
            token = fake.token()
            completed = in_child(token, directory, steps)
            found = membership.read(directory)
            assert found is not None and found.daemon == before.daemon
            tls.context(membership.credentials(found, directory))
            if completed is not None:
                break
            again = in_child(token, directory, 0)
            assert again is not None and again == membership.read(directory)
            assert again.daemon == before.daemon
            assert len(list(directory.glob("credentials-*"))) <= 2
    assert steps > 10


def in_child(token: str, directory: Path, step: int) -> Membership | None:
    """Join in a process that is killed at this step; None where it was. 0: at none."""
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_SECONDS)
        if step:
            _die_at(step, str(directory))
        try:
            asyncio.run(joining.join(token, directory, PROJECT))
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    assert os.waitstatus_to_exitcode(status) == 0
    return membership.read(directory)


def _die_at(step: int, directory: str) -> None:
    left = [step]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event in STEPS and any(str(each).startswith(directory) for each in arguments):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"}


def test_addresses_that_a_former_client_has_found_are_not_kept(directory: Path) -> None:
    async def work() -> None:
        async with FakeIncus(directory, members=2) as fake:
            former = Api(
                (await fake.join()).replace(addresses=(fake.members[0].address,)), directory
            )
            await former.refresh_addresses()
            assert membership.read(directory) == former.membership
            assert len(former.membership.addresses) == 2
            new = await fake.join()
            former.membership = former.membership.replace(addresses=(fake.members[0].address,))
            await former.refresh_addresses()
            await former.close()
            assert membership.read(directory) == new

    run(work)


def test_a_server_that_becomes_a_cluster_is_followed_to_its_members(directory: Path) -> None:
    async def work() -> None:
        async with FakeIncus(directory) as fake, fake.api() as api:
            await api.refresh_addresses()
            assert not api.membership.clustered and await api.members() == []
            fake.members.append(Member("m2"))
            await fake.boot("m2")
            await api.refresh_addresses()
            assert [each["server_name"] for each in await api.members()] == ["m1", "m2"]
            found = membership.read(directory)
            assert found is not None and found.clustered and len(found.addresses) == 2

    run(work)


# -- the setting ----------------------------------------------------------------------------------


def test_instances_hold_the_membership_of_their_cluster(directory: Path, tmp_path: Path) -> None:
    async def work() -> None:
        (tmp_path / "other").mkdir()
        other = FakeIncus(tmp_path / "other" / "incus")
        other.directories.append(directory)
        async with FakeIncus(directory) as fake, other:
            await enrolment.set_token(fake.token(), directory, PROJECT)
            await create(fake, "foo", membership.daemon_id(directory))
            (directory / enrolment.INSTANCES).mkdir()
            record = directory / enrolment.INSTANCES / "foo.json"
            record.write_text("{}")
            before = membership.read(directory)
            for token in (other.token(), ""):
                with pytest.raises(enrolment.OnOtherCluster, match="1 instances"):
                    await enrolment.set_token(token, directory, PROJECT)
            assert membership.read(directory) == before
            await enrolment.set_token(fake.token(), directory, PROJECT)  # the same one again
            membership.file(directory).write_bytes(b"")  # damaged: the same one still
            with pytest.raises(enrolment.OnOtherCluster):
                await enrolment.set_token(other.token(), directory, PROJECT)
            await enrolment.set_token(fake.token(), directory, PROJECT)
            record.unlink()
            await enrolment.set_token(other.token(), directory, PROJECT)
            assert membership.read(directory) != before
            await enrolment.set_token("", directory, PROJECT)
            assert not membership.joined(directory)

    run(work)


def test_a_cluster_with_another_certificate_is_known_by_its_instances(directory: Path) -> None:
    """As after `incus cluster enable`. What others have made under the same name is no sign."""
    records = directory / enrolment.INSTANCES

    async def work() -> None:
        async with FakeIncus(directory) as fake:
            before = await fake.join()
            await create(fake, "foo", before.daemon)
            records.mkdir()
            (records / "foo.json").touch()
            await fake.kill("m1")
            fake.pair = certificates.make_server(certificates.make_root())
            await fake.boot("m1")
            api = Api(before, directory)
            with pytest.raises(Unreachable, match=r"local\.incus\.token joins anew"):
                await api.get("/1.0/instances")
            await api.close()
            instance = fake.instances.get("foo").shown
            instance["config"][OWNER_TAG] = "another"
            with pytest.raises(enrolment.OnOtherCluster):
                await enrolment.set_token(fake.token(), directory, PROJECT)
            assert membership.read(directory) == before
            instance["config"][OWNER_TAG] = before.daemon
            await enrolment.set_token(fake.token(), directory, PROJECT)
            found = membership.read(directory)
            assert found is not None and found.fingerprint == fake.fingerprint
            assert found.daemon == before.daemon

    run(work)


async def create(fake: FakeIncus, name: str, daemon: str) -> None:
    body = {"name": name, "config": {OWNER_TAG: daemon}}
    await fake.instances.create(body, "m1")


def test_a_token_that_was_used_changes_nothing(directory: Path) -> None:
    async def work() -> None:
        async with FakeIncus(directory) as fake:
            before = await fake.join()
            spent = fake.token()
            fake.tokens.clear()
            with pytest.raises(Refused, match="counts once"):
                await enrolment.set_token(spent, directory, PROJECT)
            assert membership.read(directory) == before
            api = Api(before, directory)
            assert (await api.get("/1.0"))["auth"] == "trusted"
            await api.close()

    run(work)
