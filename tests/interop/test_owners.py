"""What a user gets from every call on an instance of another: what a name that is free gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from protocol.certificates import make_client
from protocol.messages.common import InstanceNames, InstanceSnapshotPair, TargetPathInfo
from protocol.methods import METHODS, Method
from protocol.roles import Role
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import Answer, GrpcClient
from tests.multipassd.admin.trust import Trust
from tools import records
from tools.daemon import Daemon
from tools.sandbox import Sandbox

Fields = Callable[[str], dict[str, Any]]

ALICE, BOB, CAROL, DAVE = (make_client() for _ in range(4))
OF_BOB, OF_CAROL, OF_NO_ONE, FREE = "bobs", "carols", "unowned", "vacant"


def names(name: str) -> dict[str, Any]:
    return {"instance_names": InstanceNames(instance_name=[name])}


def repeated(name: str) -> dict[str, Any]:
    return {"instance_name": [name]}


def pair(name: str) -> dict[str, Any]:
    return {"instance_snapshot_pairs": [InstanceSnapshotPair(instance_name=name)]}


def target(name: str) -> dict[str, Any]:
    return {"target_paths": [TargetPathInfo(instance_name=name, target_path="x")]}


def mount(name: str) -> dict[str, Any]:
    return target(name) | {"source_path": "/etc"}


def setting(name: str) -> dict[str, Any]:
    return {"key": f"local.{name}.cpus", "val": "2"}


def snapshot_of(name: str) -> dict[str, Any]:
    return {"instance": name, "snapshot": "s1"}


def guest(name: str) -> dict[str, Any]:
    return {"instance_name": name}


# Each call that names an instance, and a request that does; a new call needs its row, here or in
# NAMES_NONE.
NAMING: dict[str, Fields] = {
    "Rpc/info": pair,
    "Rpc/mount": mount,
    "Rpc/recover": names,
    "Rpc/ssh_info": repeated,
    "Rpc/start": names,
    "Rpc/stop": names,
    "Rpc/suspend": names,
    "Rpc/restart": names,
    "Rpc/delet": pair,
    "Rpc/umount": target,
    "Rpc/get": lambda name: {"key": f"local.{name}.cpus"},
    "Rpc/set": setting,
    "Rpc/snapshot": snapshot_of,
    "Rpc/restore": snapshot_of,
    "Rpc/clone": lambda name: {"source_name": name},
    "Guests/host_keys": repeated,
    "Guests/certify": guest,
    "Guests/relay": guest,
    "Exports/export": guest,
    "Cluster/move": guest,
}
# What they show is in a test of its own below, or concerns no instance.
NAMES_NONE = {
    "Rpc/create", "Rpc/launch", "Rpc/purge", "Rpc/find", "Rpc/list", "Rpc/networks", "Rpc/ping",
    "Rpc/version", "Rpc/keys", "Rpc/authenticate", "Rpc/wait_ready", "Images/downloads",
    "Exports/import", "Trust/renew", "Trust/roots",
}  # fmt: skip


def path(method: Method) -> str:
    return method.path.removeprefix("/multipass.")


def ask(client: GrpcClient, method: str, **fields: Any) -> Answer:
    return client.call(method.removeprefix("Rpc/"), **fields)


@pytest.fixture(scope="module")
def trusted() -> Iterator[Sandbox]:
    """Alice is an admin, bob and carol are users, dave is a viewer. No service runs there."""
    sandbox = Sandbox.create()
    trust = Trust(sandbox)
    for client, name, role in (
        (ALICE, "alice", "admin"),
        (BOB, "bob", "user"),
        (CAROL, "carol", "user"),
        (DAVE, "dave", "viewer"),
    ):
        trust.done("add", "-", "--name", name, "--role", role, input=client.certificate)
    yield sandbox
    sandbox.remove()


@pytest.fixture
def running(daemon: DaemonFactory, sandbox: Sandbox, trusted: Sandbox) -> Daemon:
    """With these clients; bob and carol have an instance each, and one is of nobody."""
    shutil.copytree(trusted.data, sandbox.data)
    for number, (name, owner) in enumerate(
        ((OF_BOB, "bob"), (OF_CAROL, "carol"), (OF_NO_ONE, "")), start=1
    ):
        record = records.make(name, number, disk=64 << 20).replace(owner=owner)
        records.put(sandbox, record)
    return daemon(sandbox=sandbox)


@pytest.fixture
def bob(running: Daemon) -> Iterator[GrpcClient]:
    with GrpcClient(running, BOB) as client:
        yield client


def test_each_call_of_the_method_table_has_a_row_here() -> None:
    of_users = {path(each) for each in METHODS if each.least is not Role.ADMIN}
    assert of_users == NAMING.keys() | NAMES_NONE


@pytest.mark.parametrize("method", NAMING)
def test_an_instance_of_another_is_answered_as_a_name_that_is_free(
    bob: GrpcClient, method: str
) -> None:
    expected = ask(bob, method, **NAMING[method](FREE))
    assert expected.status is not Status.OK and expected.status is not Status.PERMISSION_DENIED
    for name in (OF_CAROL, OF_NO_ONE):
        answer = ask(bob, method, **NAMING[method](name))
        assert answer.status is expected.status, answer
        assert answer.message == expected.message.replace(FREE, name)
        assert not answer.replies


# Started, these would wait for a guest that never answers.
@pytest.mark.parametrize("method", sorted(NAMING.keys() - {"Rpc/start"}))
def test_an_owner_and_an_admin_are_answered_alike(
    running: Daemon, bob: GrpcClient, method: str
) -> None:
    """What a call on it fails with, if it does, does not come from its owner."""
    free = ask(bob, method, **NAMING[method](FREE))
    with GrpcClient(running, ALICE) as alice:
        for name in (OF_BOB, OF_CAROL):
            answer = ask(alice, method, **NAMING[method](name))
            assert answer.message != free.message.replace(FREE, name) or not free.message
    own = ask(bob, method, **NAMING[method](OF_BOB))
    assert own.message != free.message.replace(FREE, OF_BOB) or own.status is Status.OK


def test_what_is_listed_without_a_name_is_the_callers(running: Daemon, bob: GrpcClient) -> None:
    listed = bob.call("list").replies[-1].instance_list.instances
    assert [each.name for each in listed] == [OF_BOB]
    (shown,) = bob.call("info", no_runtime_information=True).replies[-1].details
    assert (shown.name, shown.instance_info.owner) == (OF_BOB, "bob")
    keys = bob.call("keys").replies[-1].settings_keys
    assert not [key for key in keys if OF_CAROL in key or OF_NO_ONE in key]
    assert f"local.{OF_BOB}.cpus" in keys
    for client in (ALICE, DAVE):
        with GrpcClient(running, client) as other:
            all_of_them = other.call("list").replies[-1].instance_list.instances
            assert [each.name for each in all_of_them] == [OF_BOB, OF_CAROL, OF_NO_ONE]


def test_delete_and_purge_of_everything_are_of_what_is_the_callers(
    running: Daemon, bob: GrpcClient
) -> None:
    with GrpcClient(running, CAROL) as carol:
        assert carol.call("delet").status is Status.OK
    assert bob.call("purge").replies[-1].purged_instances == []
    assert bob.call("delet", purge=True).replies[-1].purged_instances == [OF_BOB]
    with GrpcClient(running, ALICE) as alice:
        left = alice.call("list").replies[-1].instance_list.instances
        assert [each.name for each in left] == [OF_CAROL, OF_NO_ONE]
        assert alice.call("purge").replies[-1].purged_instances == [OF_CAROL]


def test_a_name_that_another_has_is_taken_and_no_more_is_said(bob: GrpcClient) -> None:
    for name in (OF_CAROL, OF_NO_ONE):
        answer = bob.call("set", key=f"local.{OF_BOB}.name", val=name)
        assert answer.message.endswith(f'reason: instance "{name}" already exists'), answer


def test_an_admin_gives_an_instance_to_another_and_a_user_can_not(
    running: Daemon, bob: GrpcClient
) -> None:
    assert bob.call("get", key=f"local.{OF_BOB}.owner").replies[-1].value == "bob"
    refused = bob.call("set", key=f"local.{OF_BOB}.owner", val="carol")
    assert refused.status is Status.PERMISSION_DENIED
    with GrpcClient(running, ALICE) as alice:
        given = alice.call("set", key=f"local.{OF_NO_ONE}.owner", val="bob")
        assert given.status is Status.OK, given
        odd = alice.call("set", key=f"local.{OF_NO_ONE}.owner", val="B\x1bob")
        assert odd.status is Status.INVALID_ARGUMENT
    listed = bob.call("list").replies[-1].instance_list.instances
    assert [each.name for each in listed] == [OF_BOB, OF_NO_ONE]


def test_an_invitation_names_the_instances_that_come_with_the_name(running: Daemon) -> None:
    with GrpcClient(running, ALICE) as alice:
        invited = alice.call("Trust/invite", name="carol", role="user").replies[-1]
        assert invited.note == f"Instances that belong to 'carol' already: {OF_CAROL}."
        assert not alice.call("Trust/invite", name="eve", role="user").replies[-1].note


def test_an_instance_with_mounts_is_given_to_no_other(running: Daemon, bob: GrpcClient) -> None:
    """By its mounts the new owner would read and write as the user who mounted."""
    where: dict[str, Any] = target(OF_BOB)
    assert bob.call("mount", source_path="/etc", **where).status is Status.OK
    with GrpcClient(running, ALICE) as alice:
        refused = alice.call("set", key=f"local.{OF_BOB}.owner", val="carol")
        assert refused.status is Status.FAILED_PRECONDITION and "has mounts" in refused.message
        assert alice.call("umount", **where).status is Status.OK
        assert alice.call("set", key=f"local.{OF_BOB}.owner", val="carol").status is Status.OK
    assert not bob.call("list").replies[-1].instance_list.instances


def test_a_user_changes_no_setting_of_the_service(bob: GrpcClient) -> None:
    for key in ("local.passphrase", "local.driver", "local.quota.user.instances"):
        assert bob.call("set", key=key, val="9").status is Status.PERMISSION_DENIED, key
    assert bob.call("get", key="local.quota.user.instances").status is Status.PERMISSION_DENIED


def test_clients_shows_what_people_have_of_their_quotas(running: Daemon, bob: GrpcClient) -> None:
    with GrpcClient(running, ALICE) as alice:
        for key, value in (
            ("bob.instances", "1"),
            ("bob.disk", "1G"),
            ("user.memory", "unlimited"),
        ):
            assert alice.call("set", key=f"local.quota.{key}", val=value).status is Status.OK
        quotas = alice.call("Trust/clients").replies[-1].quotas
        assert alice.call("get", key="local.quota.user.memory").replies[-1].value == "unlimited"
        assert "local.quota.bob.instances" in alice.call("keys").replies[-1].settings_keys
    shown = {each.name: {share.kind: share for share in each.shares} for each in quotas}
    assert shown.keys() == {"bob", "carol"}
    assert (shown["bob"]["instances"].used, shown["bob"]["instances"].limit) == ("1", "1")
    assert (shown["carol"]["instances"].used, shown["carol"]["instances"].limit) == ("1", "10")
    assert "memory" not in shown["bob"]
    refused = bob.call("clone", source_name=OF_BOB)
    assert refused.status is Status.RESOURCE_EXHAUSTED
    assert refused.message.startswith("The quota of bob for instances is 1, of which 1 is used")
    grown = bob.call("set", key=f"local.{OF_BOB}.disk", val="2G")
    assert grown.status is Status.RESOURCE_EXHAUSTED, grown
