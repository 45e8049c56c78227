"""Which way of logging in a client gets, by its role and what the guest trusts. Stand-ins for the
driver and for `ssh`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.cloudinit import ssh_keys
from multipassd.cloudinit.ssh_authority import SshAuthority
from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.instances.collection import Instances
from multipassd.instances.guests import guest_ssh
from multipassd.instances.guests.login_way import MADE_BEFORE, OTHER, REFUSED, REMEMBERED, LoginWay
from multipassd.instances.instance import Instance
from multipassd.instances.states.state import State
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import guests
from multipassd.rpc.methods.guests import KeyWithheld, NoCertificates
from protocol import grpc
from protocol.errors import RpcError, StorageFailed
from protocol.messages.guests import CertifyReply, CertifyRequest
from protocol.messages.lifecycle import SSHInfoReply, SSHInfoRequest
from protocol.methods import BY_PATH
from protocol.roles import Role
from tests import waiting
from tests.multipassd.cloudinit.test_ssh_authority import shown
from tests.multipassd.guest_access.access import access_of
from tests.multipassd.instances.test_overlaps import Driver, instances_of
from tools import records
from tools.sandbox import Sandbox

ADMIN, USER = Standing(role=Role.ADMIN, name="alice"), Standing(role=Role.USER, name="bob")
PEER = Peer(None, b"", "0123456789abcdef")
KEY = ssh_keys.make().public
CERTIFY = BY_PATH[grpc.path("certify", grpc.GUESTS_SERVICE)]


class Place:
    """A daemon with `foo`, which is bob's and runs unless it was not started."""

    def __init__(self, instances: Instances, data: Path) -> None:
        self.instances = instances
        self.foo: Instance = instances.get("foo")
        self.authority, self.key = SshAuthority(data), ServiceKey(data)
        self.shared = True  # what local.shared-ssh-key says
        access = access_of(data, instances, self.key, self.authority, lambda: self.shared)
        parts = SimpleNamespace(ssh_authority=self.authority, guest_access=access)
        self._daemon = cast(Daemon, parts)

    async def certify(
        self,
        standing: Standing = ADMIN,
        *,
        refused: bool = False,
        name: str = "foo",
        connection: str = "",
    ) -> CertifyReply:
        request = CertifyRequest(
            instance_name=name, public_key=KEY, refused=refused, connection=connection
        )
        replies = Replies()
        call = Call(CERTIFY, PEER, request, replies, standing, lambda: self.instances)
        await guests.certify(call, self._daemon)
        return CertifyReply.decode(replies.sent[0])

    async def ssh_info(self, standing: Standing, name: str = "foo") -> SSHInfoReply:
        request, method = SSHInfoRequest(instance_name=[name]), BY_PATH[grpc.path("ssh_info")]
        replies = Replies()
        call = Call(method, PEER, request, replies, standing, lambda: self.instances)
        await guests.ssh_info(call, self._daemon)
        return SSHInfoReply.decode(replies.sent[0])


class Replies:
    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


@pytest.fixture
def tell(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Place], Awaitable[None]]], None]:
    """Runs a story in a place where `foo` runs and trusts the authority."""

    async def ssh(*_: object) -> str:
        return ""

    monkeypatch.setattr(guest_ssh, "run", ssh)

    def run(story: Callable[[Place], Awaitable[None]]) -> None:
        sandbox.data.mkdir(parents=True)
        trusted = SshAuthority(sandbox.data).public
        record = records.make("foo", disk=1 << 20, owner="bob", ssh_authority=trusted)
        records.put(sandbox, record)

        async def told() -> None:
            place = Place(instances_of(sandbox, Driver()), sandbox.data)
            await place.foo.start()
            await asyncio.to_thread(
                waiting.until, lambda: place.foo.state is State.RUNNING, "the start"
            )
            await story(place)
            if not place.foo.record.deleted:
                await place.instances.purge(place.foo)

        asyncio.run(told())

    return run


Tell = Callable[[Callable[[Place], Awaitable[None]]], None]


def test_the_reply_has_all_that_a_log_in_needs_and_no_shared_key(
    tell: Tell, tmp_path: Path
) -> None:
    async def story(place: Place) -> None:
        for standing, name in ((ADMIN, "alice"), (USER, "bob")):
            reply = await place.certify(standing)
            (told,) = (await place.ssh_info(ADMIN)).ssh_info.values()
            assert (reply.host, reply.port, reply.username) == (told.host, told.port, "ubuntu")
            assert reply.host_key == place.foo.record.host_key
            assert (reply.private_key, reply.why_shared) == ("", "")
            text = shown(tmp_path, reply.certificate)
            assert f'Key ID: "{name} 0123456789ab"' in text
            assert f"ubuntu@{place.foo.record.instance_id}\n" in text

    tell(story)


@pytest.mark.parametrize(("authority", "why"), [("", MADE_BEFORE), ("ssh-ed25519 AAAA", OTHER)])
def test_a_guest_that_does_not_trust_the_authority_is_reached_by_the_shared_key(
    tell: Tell, authority: str, why: str
) -> None:
    async def story(place: Place) -> None:
        place.foo.change(ssh_authority=authority)
        reply = await place.certify()
        assert reply.private_key.encode() == place.key.private
        assert (reply.certificate, reply.why_shared) == ("", why)

    tell(story)


def test_a_damaged_authority_keeps_no_admin_out(tell: Tell) -> None:
    async def story(place: Place) -> None:
        place.authority.path.write_text("no key")
        assert "authority_rsa" in (await place.certify()).why_shared
        with pytest.raises(StorageFailed, match="authority_rsa"):
            await place.certify(USER)

    tell(story)


def test_a_client_with_a_connection_to_this_run_gets_no_key_and_to_an_earlier_one_a_certificate(
    tell: Tell,
) -> None:
    async def story(place: Place) -> None:
        for standing in (ADMIN, USER):
            run = (await place.certify(standing)).connection
            reply = await place.certify(standing, connection=run)
            assert (reply.connection, reply.certificate, reply.private_key) == (run, "", "")
            assert reply.host
        await place.foo.stop(force=True)
        await place.foo.start()
        reply = await place.certify(connection=run)
        assert reply.connection not in ("", run)
        assert reply.certificate

    tell(story)


def test_a_refusal_is_remembered_for_a_time(tell: Tell) -> None:
    now = 0.0

    async def story(place: Place) -> None:
        nonlocal now
        place.foo.way = LoginWay(place.foo._stored, lambda: now)
        assert (await place.certify()).certificate
        assert (await place.certify(refused=True)).why_shared == REFUSED
        now += REMEMBERED - 1
        assert (await place.certify()).why_shared == REFUSED
        assert place.foo.way.why_shared(place.authority.public) == REFUSED
        now += 2
        assert (await place.certify()).certificate

    tell(story)


def test_a_user_never_gets_the_key_that_opens_others_instances(tell: Tell) -> None:
    async def story(place: Place) -> None:
        with pytest.raises(NoCertificates, match="it refused a certificate.*instances of others"):
            await place.certify(USER, refused=True)
        assert (await place.certify(USER)).certificate, "the next one may be taken"
        assert (await place.certify(ADMIN)).certificate, "a user's word counts for itself alone"
        await place.certify(ADMIN, refused=True)
        assert (await place.certify(USER)).certificate
        place.foo.change(ssh_authority="")
        with pytest.raises(NoCertificates, match="not set up to trust"):
            await place.certify(USER)
        with pytest.raises(KeyWithheld, match="instances of others"):
            await place.ssh_info(USER)
        assert (await place.ssh_info(ADMIN)).ssh_info["foo"].priv_key_base64

    tell(story)


def test_its_errors_are_those_of_ssh_info(tell: Tell) -> None:
    async def story(place: Place) -> None:
        async def alike(standing: Standing = ADMIN, name: str = "foo") -> str:
            said = []
            for ask in (place.certify, place.ssh_info):
                with pytest.raises(RpcError) as caught:
                    await ask(standing, name=name)
                said.append((caught.value.status, caught.value.message))
            assert said[0] == said[1]
            return said[0][1]

        assert "does not exist" in await alike(name="none")
        eve = Standing(role=Role.USER, name="eve")
        assert await alike(eve) == (await alike(eve, "none")).replace("none", "foo")
        place.foo.schedule_stop(0)
        assert "multipass stop --cancel foo" in await alike()
        await place.foo.stop(force=True)
        assert await alike() == 'instance "foo" is not running'
        await place.foo.delete()
        assert "is deleted" in await alike()

    tell(story)


def test_without_the_shared_key_only_a_guest_that_takes_no_certificate_has_it(
    tell: Callable[[Callable[[Place], Awaitable[None]]], None],
) -> None:
    async def story(place: Place) -> None:
        place.shared = False
        assert (await place.certify()).certificate
        with pytest.raises(KeyWithheld, match="local.shared-ssh-key is false"):
            await place.ssh_info(ADMIN)
        with pytest.raises(NoCertificates, match="local.shared-ssh-key is false"):
            await place.certify(refused=True)
        place.foo.change(ssh_authority="")
        assert (await place.certify()).private_key.encode() == place.key.private
        assert (await place.ssh_info(ADMIN)).ssh_info["foo"].priv_key_base64

    tell(story)
