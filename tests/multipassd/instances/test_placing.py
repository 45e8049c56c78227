"""On which host of a cluster instances are: what `list`, `info` and `move` do with a driver that
has several. A stand-in for the driver; `tests/interop/test_placing.py` asks the real one of QEMU.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.drivers.interface import DriverError, Machine, NotOnBackend
from multipassd.instances import placing
from multipassd.instances.collection import Instances
from multipassd.instances.launching.launch_spec import LaunchSpec
from multipassd.instances.placing import InvalidMember
from multipassd.instances.records.phase import Phase
from multipassd.instances.states.errors import NoSuchInstance, WrongState
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import cluster, information, listing
from multipassd.system.background import Tasks
from protocol import grpc
from protocol.codec import Message
from protocol.messages.cluster import MoveRequest
from protocol.messages.information import InfoReply, InfoRequest
from protocol.messages.listing import ListReply, ListRequest
from protocol.methods import BY_PATH
from protocol.roles import Role
from tests import waiting
from tests.multipassd.instances.test_overlaps import SILENT as REPORTER
from tests.multipassd.instances.test_overlaps import Driver, instances_of, launcher_of, order
from tools import records
from tools.sandbox import Sandbox

DOWN = "The cluster's member m2 is not reachable."
ADMIN, BOB = Standing(role=Role.ADMIN), Standing(role=Role.USER, name="bob")
HOSTILE = ["", "m2&project=other", "../m2", "m 2", "m2\n", "-m2", "\x1b[2J", "m" * 65, "@all", "é"]


class Cluster(Driver):
    """Machines on m1, which can be moved to m2."""

    places = True

    def __init__(self) -> None:
        super().__init__()
        self.on: dict[str, str] = {}
        self.asked: list[str] = []
        self.moves: list[str] = []  # that have begun
        self.moving, self.may_move = asyncio.Event(), asyncio.Event()
        self.may_move.set()

    def place(self, name: str) -> str:
        return self.on.get(name, "m1")

    def way(self, name: str) -> str:
        return "through the cluster"

    async def check_place(self, host: str) -> None:
        self.asked.append(host)
        if host not in ("m1", "m2"):
            raise DriverError("The cluster has no such member.")

    async def move(self, machine: Machine, host: str) -> None:
        self.moves.append(machine.name)
        self.moving.set()
        await self.may_move.wait()
        self.on[machine.name] = host

    def trouble(self, name: str) -> str:
        return "its host is down" if name != "far" else ""

    def troubles(self) -> list[str]:
        return [DOWN]


class Replies:
    """What was sent: the log's lines, and the rest."""

    def __init__(self, kind: type[Message]) -> None:
        self._kind = kind
        self.told: list[str] = []
        self.sent: list[Any] = []

    def send(self, payload: bytes) -> None:
        reply: Any = self._kind.decode(payload)
        if reply.log_line:
            self.told.append(reply.log_line)
        else:
            self.sent.append(reply)

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


def called(
    request: Message, instances: Instances, standing: Standing = ADMIN, service: str = grpc.SERVICE
) -> tuple[Call[Any], Daemon, Replies]:
    name = type(request).__name__.removesuffix("Request").lower()
    method = BY_PATH[grpc.path(name, service)]
    replies = Replies(method.reply)
    call = Call(method, Peer(None, b"", ""), request, replies, standing, lambda: instances)
    off = SimpleNamespace(get=lambda key: "true")
    daemon = SimpleNamespace(instances=instances, settings=off, tasks=Tasks())
    return call, cast(Daemon, daemon), replies


def listed(instances: Instances, standing: Standing = ADMIN) -> tuple[dict[str, str], list[str]]:
    """The hosts that `list` shows, and what it tells besides."""
    call, daemon, replies = called(ListRequest(), instances, standing)
    asyncio.run(listing.list_(call, daemon))
    reply: ListReply = replies.sent[-1]
    assert reply.instance_list is not None
    return {each.name: each.location for each in reply.instance_list.instances}, replies.told


@pytest.fixture
def driver() -> Cluster:
    return Cluster()


@pytest.fixture
def instances(sandbox: Sandbox, driver: Cluster) -> Instances:
    known = records.registry(sandbox)
    known.put(records.make("foo", 1, owner="bob"))
    known.put(records.make("other", 2, owner="carol"))
    return instances_of(sandbox, driver)


def move(instances: Instances, name: str, member: str, standing: Standing = ADMIN) -> Call[Any]:
    request = MoveRequest(instance_name=name, member=member)
    call, daemon, _ = called(request, instances, standing, grpc.CLUSTER_SERVICE)
    asyncio.run(cluster.move(call, daemon))
    return call


def test_list_shows_the_hosts_and_what_can_not_be_reached(
    instances: Instances, driver: Cluster
) -> None:
    driver.on["foo"] = "m2"
    shown, told = listed(instances)
    assert shown == {"foo": "m2", "other": "m1"}
    assert len(told) == 1 and told[0].endswith(f"{DOWN}\n")


def test_a_user_sees_the_hosts_of_its_own_instances_and_no_instance_of_others(
    instances: Instances, driver: Cluster
) -> None:
    driver.on["foo"] = "m2"
    shown, told = listed(instances, BOB)
    assert shown == {"foo": "m2"} and len(told) == 1
    assert listed(instances, Standing(role=Role.USER, name="dave")) == ({}, [])


def test_a_list_without_instances_asks_no_driver(sandbox: Sandbox) -> None:
    class Unused(Cluster):
        def troubles(self) -> list[str]:
            raise AssertionError("it was asked")

    assert listed(instances_of(sandbox, Unused())) == ({}, [])


def test_info_tells_the_host_the_way_and_what_can_not_be_reached(instances: Instances) -> None:
    call, daemon, replies = called(InfoRequest(no_runtime_information=True), instances, BOB)
    asyncio.run(information.info(call, daemon))
    reply: InfoReply = replies.sent[-1]
    about = reply.details[0].instance_info
    assert about is not None and (about.location, about.reached) == ("m1", "through the cluster")
    assert len(reply.details) == 1 and replies.told[0].endswith(f"{DOWN}\n")


def test_a_move_is_to_a_host_that_there_is(instances: Instances, driver: Cluster) -> None:
    move(instances, "foo", "m2", BOB)
    assert driver.on == {"foo": "m2"}
    with pytest.raises(DriverError, match="no such member"):
        move(instances, "foo", "m9")
    assert not move(instances, "other", "m2").deed.whole.nothing
    assert move(instances, "other", "m2").deed.whole.nothing  # it is there already
    with pytest.raises(NoSuchInstance):
        move(instances, "other", "m1", BOB)


@pytest.mark.parametrize("member", HOSTILE)
def test_what_is_no_name_of_a_host_is_never_asked_for(
    instances: Instances, driver: Cluster, sandbox: Sandbox, member: str
) -> None:
    with pytest.raises(InvalidMember) as refused:
        move(instances, "foo", member)
    assert not member or member not in refused.value.message
    if member:
        launch = order("bar")
        launcher = launcher_of(sandbox, instances)
        with pytest.raises(InvalidMember):
            asyncio.run(launcher.launch(_to(launch, member), REPORTER))
    assert not driver.asked and not driver.created


def test_a_launch_on_a_host_that_there_is_not_makes_nothing(
    instances: Instances, driver: Cluster, sandbox: Sandbox
) -> None:
    launcher = launcher_of(sandbox, instances)
    with pytest.raises(DriverError, match="no such member"):
        asyncio.run(launcher.launch(_to(order("bar"), "m9"), REPORTER))
    assert driver.asked == ["m9"] and not driver.created
    assert "bar" not in instances.taken()


def test_one_that_does_not_rest_is_not_moved(sandbox: Sandbox, driver: Cluster) -> None:
    known = records.registry(sandbox)
    known.put(records.make("asleep", 1, phase=Phase.SUSPENDED))
    instances = instances_of(sandbox, driver)
    with pytest.raises(WrongState, match="Multipass can only move stopped instances"):
        move(instances, "asleep", "m2")
    assert not driver.asked


def test_a_move_goes_on_when_its_caller_hangs_up(instances: Instances, driver: Cluster) -> None:
    async def story() -> None:
        request = MoveRequest(instance_name="foo", member="m2")
        call, daemon, _ = called(request, instances, ADMIN, grpc.CLUSTER_SERVICE)
        driver.may_move.clear()
        moving = asyncio.create_task(cluster.move(call, daemon))
        await driver.moving.wait()
        moving.cancel()
        await asyncio.wait({moving})
        assert moving.cancelled() and not driver.on
        driver.may_move.set()
        await asyncio.to_thread(waiting.until, lambda: driver.on == {"foo": "m2"})

    asyncio.run(story())


def test_a_person_moves_a_few_at_once_and_keeps_no_one_waiting(
    sandbox: Sandbox, driver: Cluster
) -> None:
    known = records.registry(sandbox)
    bobs = [f"bob{number}" for number in range(cluster.AT_ONCE + 2)]
    for number, name in enumerate(bobs):
        known.put(records.make(name, number, owner="bob"))
    known.put(records.make("carols", 99, owner="carol"))
    instances = instances_of(sandbox, driver)

    async def story() -> None:
        def moving(name: str, owner: str) -> asyncio.Task[None]:
            request = MoveRequest(instance_name=name, member="m2")
            standing = Standing(role=Role.USER, name=owner)
            call, daemon, _ = called(request, instances, standing, grpc.CLUSTER_SERVICE)
            return asyncio.create_task(cluster.move(call, daemon))

        driver.may_move.clear()
        first = [moving(name, "bob") for name in bobs]
        await asyncio.to_thread(waiting.until, lambda: len(driver.moves) == cluster.AT_ONCE)
        carols = moving("carols", "carol")
        await asyncio.to_thread(waiting.until, lambda: driver.moves[-1:] == ["carols"])
        first[0].cancel()  # it goes on, and another one does not begin for that
        first[-1].cancel()  # it waited for its turn, and never begins
        await asyncio.wait({first[0], first[-1]})
        assert len(driver.moves) == cluster.AT_ONCE + 1
        driver.may_move.set()
        await asyncio.gather(*first[1:-1], carols)
        await asyncio.to_thread(waiting.until, lambda: len(driver.on) == len(bobs))
        assert bobs[-1] not in driver.on

    asyncio.run(story())


def test_a_driver_of_one_host_refuses_both(sandbox: Sandbox) -> None:
    records.registry(sandbox).put(records.make("foo", 1))
    driver = Driver()
    instances = instances_of(sandbox, driver)
    with pytest.raises(NotOnBackend, match="The move feature is not implemented on this backend"):
        move(instances, "foo", "m2")
    with pytest.raises(NotOnBackend, match="The launch --target feature is not implemented on"):
        asyncio.run(placing.check_target(driver, "m2"))
    asyncio.run(placing.check_target(driver, ""))


def _to(launch: LaunchSpec, member: str) -> LaunchSpec:
    return replace(launch, target=member)
