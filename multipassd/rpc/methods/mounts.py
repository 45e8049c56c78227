"""`mount` and `umount`, and what `info` shows of mounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from multipassd.audit.deed import Subject
from multipassd.instances import mount_request
from multipassd.instances.attachments.classic_mounts import NoSupport
from multipassd.instances.instance import Instance
from multipassd.instances.records.record import LOGIN_USER, IdPair, Mount
from multipassd.instances.states import transitions
from multipassd.instances.states.errors import (
    InstanceDeleted,
    NoSuchInstance,
    Several,
)
from multipassd.instances.states.state import State
from multipassd.instances.view import View
from multipassd.rpc.call import Call, Request
from multipassd.rpc.context import Daemon
from protocol.errors import RpcError
from protocol.messages.common import TargetPathInfo
from protocol.messages.mounts import (
    IdMap,
    MountInfo,
    MountMaps,
    MountReply,
    MountRequest,
    UmountReply,
    UmountRequest,
)
from protocol.settings import PRIVILEGED_MOUNTS
from protocol.status import Status

DISABLED_IN_INFO = "Mounts have been disabled on this instance of Multipass"


class MountsDisabled(RpcError):
    """`local.privileged-mounts` is false."""

    status = Status.FAILED_PRECONDITION
    sentence = (
        "Mounts are disabled on this installation of Multipass.\n"
        "An administrator decides on that: they give an instance what its users may read on this "
        f"host. `multipass set {PRIVILEGED_MOUNTS}=true` enables them."
    )


class NoInstanceToMount(RpcError):
    """The sentence of `mount` and `umount` has other quotes than that of other commands."""

    status = Status.INVALID_ARGUMENT

    def __init__(self, name: str) -> None:
        super().__init__(f"instance '{name}' does not exist")


async def mount(call: Call[MountRequest], daemon: Daemon) -> None:
    """Mount a directory of the caller's in instances, at once in those that run."""
    if not enabled(daemon):
        raise MountsDisabled
    asked = mount_request.read(call.request, call.peer.credentials)

    def announce(text: str) -> None:
        call.reply(MountReply(reply_message=text))

    async def mount(target: TargetPathInfo) -> None:
        work = _mount(call, asked, target, announce)
        await daemon.tasks.complete(work)

    await _each(call, call.request.target_paths, mount)
    call.reply(MountReply())


async def _mount(
    call: Call[MountRequest],
    asked: Mount,
    target: TargetPathInfo,
    announce: Callable[[str], None],
) -> None:
    instance = _instance(target, call.instances)
    path = target.target_path or instance.mounts.default_target(asked.source)
    wanted = asked.replace(target=path)
    instance.mounts.check_new(wanted, stopped=instance.state is State.STOPPED)
    async with instance.held(transitions.MOUNT):
        _instance(target, call.instances)  # it may be another owner's by now
        if instance.running:
            await instance.wait()  # its other mounts may still be mounted after a start
        await instance.mounts.add(
            wanted,
            partial(_if_heard, announce),
            stopped=instance.state is State.STOPPED,
            answers=instance.running,
        )


def _if_heard(announce: Callable[[str], None], text: str) -> None:
    """The work goes on where the caller hangs up."""
    try:
        announce(text)
    except RpcError:
        pass


async def umount(call: Call[UmountRequest], daemon: Daemon) -> None:
    """Unmount directories, at once where the instance runs."""

    async def umount(target: TargetPathInfo) -> None:
        work = _umount(_instance(target, call.instances), target.target_path)
        await daemon.tasks.complete(work)

    await _each(call, call.request.target_paths, umount)
    call.reply(UmountReply())


async def _umount(instance: Instance, path: str) -> None:
    async with instance.held(transitions.MOUNT):
        if instance.running:
            await instance.wait()
        await instance.mounts.remove(path)


def _instance(target: TargetPathInfo, instances: View) -> Instance:
    try:
        return instances.get_live(target.instance_name)
    except (NoSuchInstance, InstanceDeleted):
        raise NoInstanceToMount(target.instance_name) from None


async def _each(
    call: Call[Request],
    targets: Sequence[TargetPathInfo],
    work: Callable[[TargetPathInfo], Awaitable[None]],
) -> None:
    """In order, each regardless of the others. Raises Several; alone, what stands by itself."""
    errors: list[RpcError] = []
    for target in targets:
        try:
            with call.deed.on(Subject((target.instance_name,))):
                await work(target)
        except RpcError as error:
            errors.append(error)
    if len(errors) == 1 and isinstance(errors[0], NoSupport):
        raise errors[0]
    if errors:
        raise Several(errors)


# -- the setting, and what `info` shows -----------------------------------------------------------


def enabled(daemon: Daemon) -> bool:
    return daemon.settings.get(PRIVILEGED_MOUNTS) == "true"


def described(mounts: Sequence[Mount], *, maps: bool = True) -> MountInfo:
    """`maps`: with those of user and group ids, which a snapshot's are shown without."""
    paths = [
        MountInfo.MountPaths(
            source_path=each.source,
            target_path=each.target,
            mount_maps=_maps(each) if maps else None,
        )
        for each in mounts
    ]
    longest = max((len(each.source_path) for each in paths), default=0)
    return MountInfo(longest_path_len=longest, mount_paths=paths)


def _maps(mount: Mount) -> MountMaps:
    return MountMaps(uid_mappings=_ids(mount.uids), gid_mappings=_ids(mount.gids))


def _ids(pairs: Sequence[IdPair]) -> list[IdMap]:
    assert LOGIN_USER == -1  # the wire's, too
    return [IdMap(host_id=pair.host, instance_id=pair.guest) for pair in pairs]
