"""`get`, `set` and `keys`: the settings of the service and of instances."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from multipassd.audit.deed import Subject
from multipassd.instances import setting_keys
from multipassd.instances import settings as of_instances
from multipassd.instances import snapshot_settings as of_snapshots
from multipassd.instances.launching import launch_networks
from multipassd.instances.launching.launch_networks import InvalidBridgedNetwork, NoNetworks
from multipassd.instances.launching.launch_spec import NetworkSpec
from multipassd.instances.settings import NotUpdated
from multipassd.rpc import caller
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.settings.values import boolean_word
from multipassd.transport.quota import limits
from protocol.errors import InvalidSetting, RpcError
from protocol.invitation_line import is_line
from protocol.messages.access import (
    GetReply,
    GetRequest,
    KeysReply,
    KeysRequest,
    SetReply,
    SetRequest,
)
from protocol.settings import (
    BRIDGED_NETWORK,
    DRIVER,
    HARMLESS_KEYS,
    INCUS_PROJECT,
    INCUS_TOKEN,
    PASSPHRASE,
    REFUSE_EXPIRED,
    SET,
    SHARED_SSH_KEY,
)


async def get(call: Call[GetRequest], daemon: Daemon) -> None:
    """One setting's value; of the passphrase only whether there is one."""
    if key := setting_keys.read_key(call.request.key):
        network = daemon.settings.get(BRIDGED_NETWORK)
        value = of_instances.show(call.instances, key, network)
    elif of_snapshot := setting_keys.read_snapshot_key(call.request.key):
        value = of_snapshots.show(call.instances, of_snapshot)
    else:
        if call.request.key not in HARMLESS_KEYS:
            caller.check_admin(call)
        daemon.settings.require(call.request.key)
        value = _value(daemon, call.request.key)
    call.reply(GetReply(value=value))


def _value(daemon: Daemon, key: str) -> str:
    if key == INCUS_TOKEN:
        return SET if daemon.machines.cluster.exists else ""
    return daemon.settings.get(key)


async def set_(call: Call[SetRequest], daemon: Daemon) -> None:
    """Change one setting; the daemon's count at once, an instance's from its next start."""
    key, value = call.request.key, call.request.val
    if of_instance := setting_keys.read_key(key):
        network = daemon.settings.get(BRIDGED_NETWORK)
        connect = partial(_connect, call, daemon, of_instance.instance)
        if of_instance.property == setting_keys.OWNER:
            caller.check_admin(call)
        instance = of_instances.changeable(call.instances, of_instance.instance)
        owner, charge = caller.owner(call, daemon), caller.charge(call, daemon, instance)
        changing = await of_instances.changing(
            daemon.instances, instance, of_instance, value, owner, charge, network, connect
        )
    elif of_snapshot := setting_keys.read_snapshot_key(key):
        changing = partial(_set_of_snapshot, call, of_snapshot, value)
    else:
        caller.check_admin(call)
        _check_own_end(call, key, value)
        changing = partial(_set, daemon, key, value)
    former = "" if of_instance is None else daemon.instances.owner_of(of_instance.instance)
    await daemon.tasks.complete(changing())
    if of_instance is not None:
        call.deed.whole.subject = _subject(of_instance, value)
    if of_instance is not None and of_instance.property == setting_keys.OWNER and former != value:
        daemon.guest_access.end_log_ins(former)
    call.reply(SetReply())


def _subject(key: setting_keys.Key, value: str) -> Subject:
    """An instance's new name and its new owner are on record, as they tell whose it is."""
    if key.property == setting_keys.NAME:
        both = tuple(dict.fromkeys((key.instance, value)))
        return Subject(both, setting=key.text, client=value)
    owner = value if key.property == setting_keys.OWNER else ""
    return Subject((key.instance,), setting=key.text, client=owner)


def _check_own_end(call: Call[SetRequest], key: str, value: str) -> None:
    """No admin locks itself out by a slip."""
    refuses = key == REFUSE_EXPIRED and boolean_word(value) == "true"
    if refuses and call.peer.ends < time.time() and not call.standing.root:
        raise InvalidSetting(key, value, "your own certificate has ended, so you would be refused")


async def _set(daemon: Daemon, key: str, value: str) -> None:
    if key == INCUS_TOKEN:
        daemon.machines.check_joining()
        await daemon.machines.cluster.join(value)
        daemon.machines.follow_cluster()
        return
    if key == PASSPHRASE and value:
        if is_line(value):
            raise InvalidSetting(key, "…", "it would be taken for an invitation")
        if len(value.encode()) > limits.PASSPHRASE:
            raise InvalidSetting(key, "…", f"more than {limits.PASSPHRASE} bytes")
        value = await daemon.verifier.make(value)
    if key == DRIVER:
        daemon.machines.check_driver(value)
    if key == INCUS_PROJECT:
        daemon.machines.check_joining()
        daemon.machines.cluster.check_project(value)
    await asyncio.to_thread(daemon.settings.set, key, value)
    if key == DRIVER:
        await daemon.machines.take_driver()
    await daemon.mount_switch.apply()
    if key == SHARED_SSH_KEY:
        daemon.guest_access.apply_setting()


async def _set_of_snapshot(
    call: Call[SetRequest], key: setting_keys.SnapshotKey, value: str
) -> None:
    of_snapshots.change(call.instances, key, value)


async def _connect(call: Call[SetRequest], daemon: Daemon, instance: str, network: str) -> None:
    """Let instances be on this network of the host's; its user is asked if that disturbs it.
    Raises RpcError."""
    networking = daemon.instances.networking
    found = await networking.available()
    if network not in {each.name for each in found}:
        raise InvalidBridgedNetwork(network)
    if not networking.reaches_host_networks:
        raise NoNetworks
    if not launch_networks.without_bridge([NetworkSpec(network, "", True)], found):
        return
    caller.check_admin(call)  # a new bridge changes the host's network
    if not (call.request.authorized or await _permitted(call, network)):
        raise NotUpdated(instance, f"Need user authorization to bridge {network}")
    try:
        await networking.bridge(network)
    except RpcError as error:
        raise NotUpdated(instance, f"Failure to bridge {network}: {error.message}") from None


async def _permitted(call: Call[SetRequest], network: str) -> bool:
    answer = await call.ask(SetReply(reply_message=network, needs_authorization=True))
    return answer is not None and answer.authorized


async def keys(call: Call[KeysRequest], daemon: Daemon) -> None:
    """The settings that the daemon keeps, its own and those of each instance and snapshot."""
    instances = call.instances.all()
    names = [instance.name for instance in instances]
    of_each = [key for instance in instances for key in of_snapshots.keys(instance.record)]
    keys = sorted([*daemon.settings.keys(), *setting_keys.keys(names), *of_each])
    call.reply(KeysReply(settings_keys=keys))
