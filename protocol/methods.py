"""Every call: its path, its messages, and who may make it. There is no default policy."""

from __future__ import annotations

from enum import Enum

from protocol import grpc
from protocol.codec import Message
from protocol.messages import (
    access,
    downloads,
    exports,
    guests,
    information,
    launch,
    lifecycle,
    listing,
    mounts,
    snapshots,
    trust,
)


class Policy(Enum):
    """Who may call. The gate (`multipassd/auth/gate.py`) holds one rule for each."""

    ADOPT_FIRST = "trusted clients; on an empty store the caller becomes the first"
    MEMBERS_ONLY = "trusted clients; never adopts"
    OPEN = "everybody who may connect; never adopts"
    ROOT_OR_MEMBERS = "trusted clients, and root over a Unix socket; never adopts"


class Method:
    """One call: `name` as on the wire, the service it belongs to, its two messages."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        request: type[Message],
        reply: type[Message],
        service: str = grpc.SERVICE,
    ) -> None:
        self.name = name
        self.policy = policy
        self.request = request
        self.reply = reply
        self.path = grpc.path(name, service)


_ADOPT = Policy.ADOPT_FIRST
_ROOT = Policy.ROOT_OR_MEMBERS

METHODS = (
    Method("create", _ADOPT, launch.LaunchRequest, launch.LaunchReply),
    Method("launch", _ADOPT, launch.LaunchRequest, launch.LaunchReply),
    Method("purge", _ADOPT, lifecycle.PurgeRequest, lifecycle.PurgeReply),
    Method("find", _ADOPT, information.FindRequest, information.FindReply),
    Method("info", _ADOPT, information.InfoRequest, information.InfoReply),
    Method("list", _ADOPT, listing.ListRequest, listing.ListReply),
    Method("networks", _ADOPT, information.NetworksRequest, information.NetworksReply),
    Method("mount", _ADOPT, mounts.MountRequest, mounts.MountReply),
    Method("ping", Policy.MEMBERS_ONLY, access.PingRequest, access.PingReply),
    Method("recover", _ADOPT, lifecycle.RecoverRequest, lifecycle.RecoverReply),
    Method("ssh_info", _ADOPT, lifecycle.SSHInfoRequest, lifecycle.SSHInfoReply),
    Method("start", _ADOPT, lifecycle.StartRequest, lifecycle.StartReply),
    Method("stop", _ADOPT, lifecycle.StopRequest, lifecycle.StopReply),
    Method("suspend", _ADOPT, lifecycle.SuspendRequest, lifecycle.SuspendReply),
    Method("restart", _ADOPT, lifecycle.RestartRequest, lifecycle.RestartReply),
    Method("delet", _ADOPT, lifecycle.DeleteRequest, lifecycle.DeleteReply),
    Method("umount", _ADOPT, mounts.UmountRequest, mounts.UmountReply),
    Method("version", _ADOPT, access.VersionRequest, access.VersionReply),
    Method("get", _ADOPT, access.GetRequest, access.GetReply),
    Method("set", _ADOPT, access.SetRequest, access.SetReply),
    Method("keys", _ADOPT, access.KeysRequest, access.KeysReply),
    Method("authenticate", Policy.OPEN, access.AuthenticateRequest, access.AuthenticateReply),
    Method("snapshot", _ADOPT, snapshots.SnapshotRequest, snapshots.SnapshotReply),
    Method("restore", _ADOPT, snapshots.RestoreRequest, snapshots.RestoreReply),
    Method("clone", _ADOPT, snapshots.CloneRequest, snapshots.CloneReply),
    Method("daemon_info", _ADOPT, access.DaemonInfoRequest, access.DaemonInfoReply),
    Method("wait_ready", Policy.OPEN, access.WaitReadyRequest, access.WaitReadyReply),
    Method("clients", _ROOT, trust.ClientsRequest, trust.ClientsReply, grpc.TRUST_SERVICE),
    Method("remove", _ROOT, trust.RemoveRequest, trust.RemoveReply, grpc.TRUST_SERVICE),
    Method(
        "host_keys",
        Policy.MEMBERS_ONLY,
        guests.HostKeysRequest,
        guests.HostKeysReply,
        grpc.GUESTS_SERVICE,
    ),
    Method(
        "downloads",
        Policy.MEMBERS_ONLY,
        downloads.DownloadsRequest,
        downloads.DownloadsReply,
        grpc.IMAGES_SERVICE,
    ),
    Method(
        "export",
        _ADOPT,
        exports.ExportRequest,
        exports.ExportReply,
        grpc.EXPORTS_SERVICE,
    ),
    Method(
        "import",
        _ADOPT,
        exports.ImportRequest,
        launch.LaunchReply,
        grpc.EXPORTS_SERVICE,
    ),
)

BY_PATH = {method.path: method for method in METHODS}
