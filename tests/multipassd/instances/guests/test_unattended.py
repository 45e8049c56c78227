"""A boot that no client waits for, as after Ctrl-C in a launch: it can be stopped, and it ends in
Running or, with a reason, in Unknown. A stand-in for the driver; `ssh` is one, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import cast

import pytest

from multipassd.auth.peer import Peer
from multipassd.instances.collection import Instances
from multipassd.instances.guests import guest_ssh, reachability
from multipassd.instances.instance import Instance
from multipassd.instances.states.errors import GuestSilent, TimedOut, WrongState
from multipassd.instances.states.state import State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import guests
from protocol import grpc
from protocol.messages.lifecycle import SSHInfoRequest
from protocol.methods import BY_PATH
from tests import waiting
from tests.multipassd.instances.test_info import TRUSTED
from tests.multipassd.instances.test_overlaps import Driver, instances_of
from tools import records
from tools.sandbox import Sandbox

Story = Callable[[Instance], Awaitable[None]]


class Replies:
    def send(self, payload: bytes) -> None:
        pass

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


class Ssh:
    """Refuses every login until `answers` is set."""

    def __init__(self) -> None:
        self.answers = False

    async def run(self, *_: object) -> str:
        if not self.answers:
            raise GuestSilent("nobody there")
        return ""


@pytest.fixture
def ssh(monkeypatch: pytest.MonkeyPatch) -> Ssh:
    one = Ssh()
    monkeypatch.setattr(guest_ssh, "run", one.run)
    monkeypatch.setattr(reachability, "PROBE_INTERVAL", 0.001)
    monkeypatch.setattr(reachability, "LATE_INTERVAL", 0.001)
    return one


def tell(sandbox: Sandbox, story: Story) -> None:
    """With foo, which was started, and whose client went away."""
    records.put(sandbox, records.make("foo", disk=1 << 20))

    async def run() -> None:
        instances = instances_of(sandbox, Driver())
        foo = instances.get("foo")
        await foo.start()
        await story(foo)
        await instances.purge(foo)

    asyncio.run(run())


def state(foo: Instance) -> State:
    """A call each time, as the type checker takes a property for constant."""
    return foo.state


async def until(true: Callable[[], bool]) -> None:
    await asyncio.to_thread(waiting.until, true)


@pytest.mark.usefixtures("ssh")
def test_it_can_be_stopped_while_it_boots(sandbox: Sandbox) -> None:
    async def story(foo: Instance) -> None:
        await foo.stop()
        assert state(foo) == State.STOPPED and foo.record.ended_because == ""

    tell(sandbox, story)


@pytest.mark.usefixtures("ssh")
def test_while_a_client_waits_it_is_not_stopped(sandbox: Sandbox) -> None:
    async def story(foo: Instance) -> None:
        client = asyncio.create_task(foo.wait())
        await asyncio.sleep(0)
        with pytest.raises(WrongState, match="Cannot shut down instance foo while starting"):
            await foo.stop()
        client.cancel()  # as by Ctrl-C
        await asyncio.wait({client})
        await foo.stop()
        assert state(foo) == State.STOPPED

    tell(sandbox, story)


@pytest.mark.usefixtures("ssh")
def test_it_is_not_stopped_between_its_start_and_the_wait_for_it(sandbox: Sandbox) -> None:
    async def story(foo: Instance) -> None:
        with foo.awaited():
            with pytest.raises(WrongState, match="Cannot shut down instance foo while starting"):
                await foo.stop()
        await foo.stop()

    tell(sandbox, story)


def test_one_that_answers_in_time_runs(sandbox: Sandbox, ssh: Ssh) -> None:
    async def story(foo: Instance) -> None:
        ssh.answers = True
        await until(lambda: state(foo) == State.RUNNING)

    tell(sandbox, story)


def test_one_that_does_not_answer_is_unknown_with_a_reason_until_it_does(
    sandbox: Sandbox, ssh: Ssh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "START_TIMEOUT", 0.0)

    async def story(foo: Instance) -> None:
        await until(lambda: state(foo) == State.UNKNOWN)
        assert await foo.trouble() == "foo does not answer; the end of its console: empty"
        with pytest.raises(WrongState, match="Try to stop it first"):
            await foo.start()
        ssh.answers = True
        await until(lambda: state(foo) == State.RUNNING)
        assert await foo.trouble() == ""

    tell(sandbox, story)


@pytest.mark.usefixtures("ssh")
def test_one_that_does_not_answer_can_be_stopped(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "START_TIMEOUT", 0.0)

    async def story(foo: Instance) -> None:
        await until(lambda: state(foo) == State.UNKNOWN)
        foo.schedule_stop(0)
        foo.stop_if_due()
        await until(lambda: state(foo) == State.STOPPED)

    tell(sandbox, story)


@pytest.mark.usefixtures("ssh")
def test_it_goes_on_starting_while_a_client_is_more_patient(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "START_TIMEOUT", 0.0)

    async def story(foo: Instance) -> None:
        with pytest.raises(TimedOut):
            await foo.wait(0.1)
        assert state(foo) in (State.STARTING, State.UNKNOWN)
        await until(lambda: state(foo) == State.UNKNOWN)

    tell(sandbox, story)


def test_a_login_while_it_comes_up_waits_and_cancels_no_scheduled_stop(
    sandbox: Sandbox, ssh: Ssh
) -> None:
    async def story(foo: Instance) -> None:
        foo.change(stop_at=time.time() + 600)
        request = SSHInfoRequest(instance_name=["foo"])
        peer, method = Peer(None, b"", ""), BY_PATH[grpc.path("ssh_info")]
        found = cast(Instances, SimpleNamespace(find=lambda _name: foo))
        call = Call(method, peer, request, Replies(), TRUSTED, lambda: found)

        async def give_key(*_: object) -> str:
            return "key"

        access = SimpleNamespace(why_withheld=lambda _instance: "", give_key=give_key)
        daemon = SimpleNamespace(guest_access=access)
        login = asyncio.create_task(guests.ssh_info(call, cast(Daemon, daemon)))
        await asyncio.sleep(0.01)
        assert not login.done()
        ssh.answers = True
        await login
        assert state(foo) == State.DELAYED_SHUTDOWN

    tell(sandbox, story)
