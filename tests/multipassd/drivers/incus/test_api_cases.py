"""The same cases against the fake of Incus and, with the mark `host`, against a real cluster: what
the driver may rely on, and that the fake is like the real one."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from multipassd.drivers.finding import Level
from multipassd.drivers.incus.api import errors, joining, membership
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import (
    AlreadyExists,
    IncusError,
    NotFound,
    Refused,
    TookTooLong,
)
from multipassd.drivers.incus.api.events import CONNECTED, LIFECYCLE, events
from multipassd.drivers.incus.api.execution import exec_stream, run
from multipassd.drivers.incus.api.members import CHUNK
from tests.multipassd.drivers.incus.fake_incus import PROJECT, FakeIncus
from tests.multipassd.drivers.incus.namespaces import run_inside
from tests.multipassd.drivers.incus.test_inspection import inspected, problems
from tests.system.host import Host
from tests.system.incus_cluster import Cluster, cluster
from tools import containerimage

SECONDS = 60.0
STREAMED = 4 << 20  # bytes through a command; more than all buffers on the way to a fake hold
UNREAD = 32 << 20  # bytes that this process may grow by what is not read
ROOT = {"type": "disk", "path": "/", "pool": "default"}
LOOP: dict[str, Any] = {"type": "container", "devices": {"root": ROOT}}


class Site:
    """A cluster of two members, its project, and an image in that."""

    image = b"an image"

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._names = (f"case-{number}" for number in itertools.count())

    def run(self, case: Callable[[Site, Api], Awaitable[None]]) -> None:
        raise NotImplementedError

    def token(self, *, restricted: bool = True, project: str = PROJECT) -> str:
        raise NotImplementedError

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[Api]:
        found = membership.read(self.directory)
        if found is None:
            found = await joining.join(self.token(), self.directory, PROJECT)
        api = Api(found, self.directory)
        try:
            yield api
        finally:
            await api.close()

    async def create(self, api: Api, *, started: bool = False, target: str = "m2") -> str:
        """A container of a new name."""
        name = next(self._names)
        source = {"type": "image", "fingerprint": await self.uploaded(api)}
        body = {**LOOP, "name": name, "source": source, "config": {"user.multipass.x": "y"}}
        await api.operate("POST", "/1.0/instances", body, seconds=SECONDS, target=target)
        if started:
            await change_state(api, name, "start")
        return name

    async def uploaded(self, api: Api) -> str:
        try:
            await api.post_stream("/1.0/images", {}, self.image, seconds=SECONDS)
        except AlreadyExists:
            pass
        return hashlib.sha256(self.image).hexdigest()


class FakeSite(Site):
    """Each case has a cluster of its own."""

    def run(self, case: Callable[[Site, Api], Awaitable[None]]) -> None:
        async def work() -> None:
            async with asyncio.timeout(SECONDS), FakeIncus(self.directory, members=2) as fake:
                self.fake = fake
                async with self.joined() as api:
                    await case(self, api)

        asyncio.run(work())

    def token(self, *, restricted: bool = True, project: str = PROJECT) -> str:
        return self.fake.token(restricted=restricted, project=project)


class RealSite(Site):
    def __init__(self, directory: Path, fabric: Cluster) -> None:
        super().__init__(directory)
        self.fabric = fabric
        self.image = containerimage.kept().read_bytes()

    def run(self, case: Callable[[Site, Api], Awaitable[None]]) -> None:
        async def work() -> None:
            async with self.joined() as api:
                try:
                    await case(self, api)
                finally:
                    await remove_all(api)

        run_inside(self.fabric.namespace, work)

    def token(self, *, restricted: bool = True, project: str = PROJECT) -> str:
        if restricted:
            return self.fabric.token(project=project)
        said = self.fabric.member(1).run("incus", "config", "trust", "add", "x", "--quiet")
        return str(said.stdout.split()[-1])


async def remove_all(api: Api) -> None:
    for found in await api.get("/1.0/instances", recursion=1):
        if found["status"] != "Stopped":
            await change_state(api, found["name"], "stop")
        await api.operate("DELETE", f"/1.0/instances/{found['name']}", seconds=SECONDS)


async def change_state(api: Api, name: str, action: str) -> None:
    body = {"action": action, "timeout": 30, "force": action == "stop"}
    await api.operate("PUT", f"/1.0/instances/{name}/state", body, seconds=SECONDS)


@pytest.fixture(scope="module")
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealSite]:
    base: Host = request.getfixturevalue("incus_base")
    with cluster(base, members=2) as fabric:
        yield RealSite(tmp_path_factory.mktemp("real") / "incus", fabric)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.host)])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    if request.param == "fake":
        return FakeSite(tmp_path / "incus")
    found: RealSite = request.getfixturevalue("real")
    return found


# -- joining --------------------------------------------------------------------------------------


def test_a_token_makes_a_client_of_all_members(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        assert (await api.get("/1.0"))["auth"] == "trusted"
        members = await api.members()
        assert [each["server_name"] for each in members] == ["m1", "m2"]
        assert all(each["status"] == "Online" for each in members)
        assert len(api.membership.addresses) == 2 and api.membership.clustered
        for address in api.membership.addresses:
            alone = api.membership.replace(addresses=(address,))
            other = Api(alone, api.directory)
            assert (await other.get("/1.0"))["auth"] == "trusted"
            await other.close()

    site.run(case)


def test_a_token_that_was_used_is_refused(site: Site, tmp_path: Path) -> None:
    async def case(site: Site, api: Api) -> None:
        token = site.token()
        await joining.join(token, site.directory, PROJECT)
        place = tmp_path / "second"
        accept(site, place)
        with pytest.raises(Refused, match="once"):
            await joining.join(token, place, PROJECT)
        assert membership.read(place) is None

    site.run(case)


def accept(site: Site, directory: Path) -> None:
    """What the fake needs before another daemon joins."""
    if isinstance(site, FakeSite):
        site.fake.directories.append(directory)


def test_a_certificate_without_limits_is_given_back(site: Site, tmp_path: Path) -> None:
    async def case(site: Site, api: Api) -> None:
        token = site.token(restricted=False)
        place = tmp_path / "unrestricted"
        accept(site, place)
        before = len(await api.get("/1.0/certificates", recursion=1))
        with pytest.raises(joining.Unrestricted, match="--restricted"):
            await joining.join(token, place, PROJECT)
        assert membership.read(place) is None
        assert not list(place.glob("credentials-*"))
        assert len(await api.get("/1.0/certificates", recursion=1)) == before

    site.run(case)


def test_a_token_for_another_project_names_the_setting(site: Site, tmp_path: Path) -> None:
    async def case(site: Site, api: Api) -> None:
        place = tmp_path / "project"
        accept(site, place)
        token = site.token(project="default")
        with pytest.raises(joining.NoProject, match="local.incus.project"):
            await joining.join(token, place, PROJECT)
        assert membership.read(place) is None
        found = await joining.join(token, place, "default")  # the same token again
        assert found.project == "default"

    site.run(case)


# -- calls and their errors -----------------------------------------------------------------------


def test_what_is_not_there_is_not_found(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        with pytest.raises(NotFound, match="Instance not found"):
            await api.get("/1.0/instances/none")
        with pytest.raises(NotFound):
            await change_state(api, "none", "start")
        body = {**LOOP, "name": "x", "source": {"type": "image", "fingerprint": "0" * 64}}
        with pytest.raises(NotFound, match="Image not found"):
            await api.operate("POST", "/1.0/instances", body, seconds=SECONDS)
        name = await site.create(api)
        with pytest.raises(NotFound):
            await api.get(f"/1.0/instances/{name}/snapshots/none")
        with pytest.raises(NotFound):
            path = f"/1.0/instances/{name}"
            await api.operate("PUT", path, {"restore": "none"}, seconds=SECONDS)

    site.run(case)


def test_a_name_and_an_image_are_there_once(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api)
        source = {"type": "image", "fingerprint": await site.uploaded(api)}
        body = {**LOOP, "name": name, "source": source}
        with pytest.raises(AlreadyExists):
            await api.operate("POST", "/1.0/instances", body, seconds=SECONDS, target="m1")
        with pytest.raises(AlreadyExists):
            await api.post_stream("/1.0/images", {}, site.image, seconds=SECONDS)

    site.run(case)


def test_an_operations_error_is_told_on_whichever_member_it_was(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        source = {"type": "image", "fingerprint": await site.uploaded(api)}
        root = {**ROOT, "pool": "none"}
        body = {**LOOP, "name": "x", "source": source, "devices": {"root": root}}
        for target in ("m1", "m2"):
            with pytest.raises(IncusError, match=r"[Pp]ool") as raised:
                await api.operate("POST", "/1.0/instances", body, seconds=SECONDS, target=target)
            assert not isinstance(raised.value, errors.Lost)

    site.run(case)


def test_other_projects_and_the_hosts_rights_are_refused(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        with pytest.raises(Refused):
            await api.get("/1.0/instances", project="default")
        source = {"type": "image", "fingerprint": await site.uploaded(api)}
        config = {"security.privileged": "true"}
        body = {**LOOP, "name": "x", "source": source, "config": config}
        with pytest.raises(Refused, match="orbidden"):
            await api.operate("POST", "/1.0/instances", body, seconds=SECONDS)
        with pytest.raises(Refused):
            await api.get("/1.0/storage-pools", recursion=1)

    site.run(case)


def test_an_inspection_names_what_is_not_there_and_nothing_else(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        found = await inspected(site.directory)
        assert {each.level for each in found} == {Level.FINE}, found
        kvm, network = problems(await inspected(site.directory, type="virtual-machine"))
        assert kvm.startswith("no member of the cluster can run virtual machines")
        assert network.startswith("virtual machines could not be reached")
        target, pool, named = problems(
            await inspected(site.directory, target="m9", pool="none", network="none")
        )
        assert "has no such member" in target and "no storage pool none" in pool
        assert "has no network none" in named

    site.run(case)


# -- the life of an instance ----------------------------------------------------------------------


def test_an_instance_lives_on_the_member_that_was_named(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api, target="m2")
        path = f"/1.0/instances/{name}"
        found = await api.get(path)
        assert (found["location"], found["status"], found["type"]) == ("m2", "Stopped", "container")
        assert found["config"]["user.multipass.x"] == "y"
        await change_state(api, name, "start")
        (listed,) = await api.get("/1.0/instances", recursion=2)
        assert listed["status_code"] == 103 and listed["state"]["pid"] > 0
        assert (await api.get(f"{path}/state"))["status"] == "Running"
        with pytest.raises(IncusError, match="running"):
            await change_state(api, name, "start")
        with pytest.raises(IncusError, match="running"):
            await api.operate("DELETE", path, seconds=SECONDS)
        await api.change("PATCH", path, {"config": {"user.multipass.x": "z"}})
        assert (await api.get(path))["config"]["user.multipass.x"] == "z"
        await change_state(api, name, "stop")
        await api.operate("POST", path, {"name": "renamed"}, seconds=SECONDS)
        await api.operate("DELETE", "/1.0/instances/renamed", seconds=SECONDS)
        assert await api.get("/1.0/instances") == []

    site.run(case)


def test_files_are_written_before_its_first_start(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api)
        for _ in range(2):
            await api.push_file(name, "/seed", directory=True, mode=0o700)
        await api.push_file(name, "/seed/user-data", b"#cloud-config\n", mode=0o600)
        found = await api.pull_file(name, "/seed/user-data", 100)
        assert (found.kind, found.data) == ("file", b"#cloud-config\n")
        with pytest.raises(errors.BadAnswer, match="over 5 bytes"):
            await api.pull_file(name, "/seed/user-data", 5)
        listing = await api.pull_file(name, "/seed", 1000)
        assert listing.kind == "directory" and json.loads(listing.data)["metadata"] == ["user-data"]
        with pytest.raises(NotFound):
            await api.pull_file(name, "/seed/none", 5)
        with pytest.raises(NotFound):
            await api.push_file(name, "/none/file", b"x")
        await api.remove_file(name, "/seed/user-data")
        with pytest.raises(NotFound):
            await api.remove_file(name, "/seed/user-data")

    site.run(case)


def test_a_snapshot_returns_to_what_was(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api)
        path = f"/1.0/instances/{name}"
        await api.push_file(name, "/kept", b"then")
        await api.operate("POST", f"{path}/snapshots", {"name": "s1"}, seconds=SECONDS)
        with pytest.raises(AlreadyExists):
            await api.operate("POST", f"{path}/snapshots", {"name": "s1"}, seconds=SECONDS)
        await api.push_file(name, "/kept", b"now!")
        await api.operate("PUT", path, {"restore": "s1"}, seconds=SECONDS)
        assert (await api.pull_file(name, "/kept", 100)).data == b"then"
        (listed,) = await api.get("/1.0/instances", recursion=2)
        assert [each["name"].rpartition("/")[2] for each in listed["snapshots"]] == ["s1"]
        await api.operate("DELETE", f"{path}/snapshots/s1", seconds=SECONDS)
        assert not await api.get(f"{path}/snapshots")

    site.run(case)


# -- commands -------------------------------------------------------------------------------------


def test_a_command_gives_its_output_and_exit_code(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api, started=True)
        command = ["sh", "-c", "echo out; echo err >&2; exit 3"]
        assert await run(api, name, command, SECONDS, 100) == (3, b"out\n")
        assert await run(api, name, ["true"], SECONDS, 100) == (0, b"")
        with pytest.raises(errors.BadAnswer, match="over 100 bytes"):
            await run(api, name, ["sh", "-c", "yes | head -c 100000"], SECONDS, 100)
        with pytest.raises(IncusError, match="not found"):
            await run(api, name, ["no-such-command"], SECONDS, 100)
        with pytest.raises(TookTooLong):
            await run(api, name, ["sleep", "60"], 1.0, 100)
        running = await exec_stream(api, name, ["sh", "-c", "echo why >&2; echo; exec cat"])
        assert await running.read() == b"\n"
        await running.end()
        assert await running.read() == b"" and await running.code() == 0
        assert running.complaint == "why\n"
        await running.close()

    site.run(case)


def test_bytes_flow_both_ways_through_a_command(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api, started=True)
        running = await exec_stream(api, name, ["cat"])
        sent = bytes(range(256)) * (STREAMED >> 8)

        async def feed() -> None:
            for start in range(0, len(sent), CHUNK):
                await running.write(sent[start : start + CHUNK])
            await running.end()

        feeding = asyncio.ensure_future(feed())
        got = bytearray()
        while piece := await running.read():
            got += piece
        await feeding
        assert bytes(got) == sent and await running.code() == 0
        await running.close()

    site.run(case)


def test_what_is_not_read_stays_on_its_way(site: Site) -> None:
    """Neither does a command that is not read grow this process, nor one that does not read."""

    async def case(site: Site, api: Api) -> None:
        name = await site.create(api, started=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        talking = await exec_stream(api, name, ["yes"])
        silent = await exec_stream(api, name, ["sleep", "60"])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                while True:
                    await silent.write(bytes(CHUNK))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown << 10 < UNREAD
        assert await talking.read()
        await asyncio.gather(talking.close(), silent.close())

    site.run(case)


def test_closing_ends_the_command(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        name = await site.create(api, started=True)
        running = await exec_stream(api, name, ["cat"])
        await running.write(b"x")
        assert await running.read() == b"x"
        identity = running.operation
        await running.close()
        ended = await api.get(f"/1.0/operations/{identity}/wait", timeout=30)
        assert ended["status_code"] >= 200

    site.run(case)


# -- events ---------------------------------------------------------------------------------------


def test_events_of_all_members_come_from_any(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        seen: list[str] = []
        begun = asyncio.Event()
        wanted = "instance-deleted"

        async def listen() -> None:
            async for event in events(api):
                if event.kind == CONNECTED:
                    begun.set()
                elif event.kind == LIFECYCLE and event.name:
                    seen.append(f"{event.action} {event.location}")
                    if event.action == wanted:
                        return

        listening = asyncio.ensure_future(listen())
        await begun.wait()
        name = await site.create(api, started=True, target="m2")
        await change_state(api, name, "stop")
        await api.operate("DELETE", f"/1.0/instances/{name}", seconds=SECONDS)
        await listening
        expected = ["created", "started", "stopped", "deleted"]
        told = [
            each for each in seen if each.partition(" ")[0].removeprefix("instance-") in expected
        ]
        assert told == [f"instance-{word} m2" for word in expected]

    site.run(case)


def test_an_event_connection_answers_pings(site: Site) -> None:
    async def case(site: Site, api: Api) -> None:
        async with api.websocket("/1.0/events", heartbeat=0.2, type="lifecycle") as socket:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await socket.receive()
            assert not socket.closed

    site.run(case)


# -- members --------------------------------------------------------------------------------------


@pytest.mark.host
def test_a_member_that_is_cut_off_is_passed_over(real: RealSite) -> None:
    """Its packets are lost: a call over a connection that is open, and one that connects."""

    async def case(site: Site, api: Api) -> None:
        second = real.fabric.member(2)
        first_of_order = api.membership.replace(addresses=tuple(sorted(api.addresses)[::-1]))
        asking = Api(first_of_order, api.directory)
        assert await asking.get("/1.0/instances") == []
        assert second.address in asking.addresses[0]
        second.unplug()
        try:
            for _ in range(2):
                assert await asking.get("/1.0/instances") == []
                assert second.address not in asking.addresses[0]
            other = Api(first_of_order, api.directory)
            assert await other.get("/1.0/instances") == []
            await other.close()
        finally:
            second.connect()
            await asking.close()

    real.run(case)
    real.fabric.wait_until_online()
