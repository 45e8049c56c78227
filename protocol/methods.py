"""Every call: its path, its messages, and who may make it. No policy and no role is a default."""

from __future__ import annotations

from enum import Enum

from protocol import grpc
from protocol.codec import Message
from protocol.messages import (
    access,
    cluster,
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
from protocol.roles import Role


class Policy(Enum):
    """Who may call. The gate (`multipassd/auth/gate.py`) holds one rule for each."""

    ADOPT_FIRST = "trusted clients; on an empty store the caller becomes the first"
    MEMBERS_ONLY = "trusted clients; never adopts"
    OPEN = "everybody who may connect; never adopts"
    ROOT_OR_MEMBERS = "trusted clients, and root over a Unix socket; never adopts"


class Method:
    """One call: `name` as on the wire, the service it belongs to, its two messages.

    `least`: the least role of a trusted client that may make it. What gives access to a guest or
    changes an instance is for users, each with its own; what changes the service or the trust of
    clients, or tells more of the host than `info` and `networks` do, is an admin's.
    `deed`: the verb by which the journal knows it, if it changes anything or gives access to a
    guest, else READS.
    `streams`: the request is a stream of messages, which the service reads as fast as it uses them.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        least: Role,
        deed: str,
        request: type[Message],
        reply: type[Message],
        service: str = grpc.SERVICE,
        *,
        streams: bool = False,
    ) -> None:
        self.name = name
        self.policy = policy
        self.least = least
        self.deed = deed
        self.request = request
        self.reply = reply
        self.path = grpc.path(name, service)
        self.streams = streams


READS = ""  # a record in the journal would tell nothing

_ADOPT = Policy.ADOPT_FIRST
_ROOT = Policy.ROOT_OR_MEMBERS
_VIEWER = Role.VIEWER
_USER = Role.USER
_ADMIN = Role.ADMIN

METHODS = (
    Method("create", _ADOPT, _USER, "launch", launch.LaunchRequest, launch.LaunchReply),
    Method("launch", _ADOPT, _USER, "launch", launch.LaunchRequest, launch.LaunchReply),
    Method("purge", _ADOPT, _USER, "purge", lifecycle.PurgeRequest, lifecycle.PurgeReply),
    Method("find", _ADOPT, _VIEWER, READS, information.FindRequest, information.FindReply),
    Method("info", _ADOPT, _VIEWER, READS, information.InfoRequest, information.InfoReply),
    Method("list", _ADOPT, _VIEWER, READS, listing.ListRequest, listing.ListReply),
    Method(
        "networks", _ADOPT, _VIEWER, READS, information.NetworksRequest, information.NetworksReply
    ),
    Method("mount", _ADOPT, _USER, "mount", mounts.MountRequest, mounts.MountReply),
    Method("ping", Policy.MEMBERS_ONLY, _VIEWER, READS, access.PingRequest, access.PingReply),
    Method("recover", _ADOPT, _USER, "recover", lifecycle.RecoverRequest, lifecycle.RecoverReply),
    Method("ssh_info", _ADOPT, _USER, "access", lifecycle.SSHInfoRequest, lifecycle.SSHInfoReply),
    Method("start", _ADOPT, _USER, "start", lifecycle.StartRequest, lifecycle.StartReply),
    Method("stop", _ADOPT, _USER, "stop", lifecycle.StopRequest, lifecycle.StopReply),
    Method("suspend", _ADOPT, _USER, "suspend", lifecycle.SuspendRequest, lifecycle.SuspendReply),
    Method("restart", _ADOPT, _USER, "restart", lifecycle.RestartRequest, lifecycle.RestartReply),
    Method("delet", _ADOPT, _USER, "delete", lifecycle.DeleteRequest, lifecycle.DeleteReply),
    Method("umount", _ADOPT, _USER, "umount", mounts.UmountRequest, mounts.UmountReply),
    Method("version", _ADOPT, _VIEWER, READS, access.VersionRequest, access.VersionReply),
    Method("get", _ADOPT, _VIEWER, READS, access.GetRequest, access.GetReply),
    Method("set", _ADOPT, _USER, "set", access.SetRequest, access.SetReply),
    Method("keys", _ADOPT, _USER, READS, access.KeysRequest, access.KeysReply),
    Method(
        "authenticate",
        Policy.OPEN,
        _VIEWER,
        "authenticate",
        access.AuthenticateRequest,
        access.AuthenticateReply,
    ),
    Method(
        "snapshot", _ADOPT, _USER, "snapshot", snapshots.SnapshotRequest, snapshots.SnapshotReply
    ),
    Method("restore", _ADOPT, _USER, "restore", snapshots.RestoreRequest, snapshots.RestoreReply),
    Method("clone", _ADOPT, _USER, "clone", snapshots.CloneRequest, snapshots.CloneReply),
    Method("daemon_info", _ADOPT, _ADMIN, READS, access.DaemonInfoRequest, access.DaemonInfoReply),
    Method(
        "wait_ready", Policy.OPEN, _VIEWER, READS, access.WaitReadyRequest, access.WaitReadyReply
    ),
    Method(
        "clients",
        _ROOT,
        _ADMIN,
        READS,
        trust.ClientsRequest,
        trust.ClientsReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "remove",
        _ROOT,
        _ADMIN,
        "remove",
        trust.RemoveRequest,
        trust.RemoveReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "invite",
        _ROOT,
        _ADMIN,
        "invite",
        trust.InviteRequest,
        trust.InviteReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "grant", _ROOT, _ADMIN, "grant", trust.GrantRequest, trust.GrantReply, grpc.TRUST_SERVICE
    ),
    Method(
        "revoke",
        _ROOT,
        _ADMIN,
        "revoke",
        trust.RevokeRequest,
        trust.RevokeReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "roots",
        Policy.OPEN,
        _VIEWER,
        READS,
        trust.RootsRequest,
        trust.RootsReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "renew",
        Policy.MEMBERS_ONLY,
        _VIEWER,
        "renew",
        trust.RenewRequest,
        trust.RenewReply,
        grpc.TRUST_SERVICE,
    ),
    Method(
        "host_keys",
        Policy.MEMBERS_ONLY,
        _USER,
        READS,
        guests.HostKeysRequest,
        guests.HostKeysReply,
        grpc.GUESTS_SERVICE,
    ),
    Method(
        "certify",
        _ADOPT,
        _USER,
        "access",
        guests.CertifyRequest,
        guests.CertifyReply,
        grpc.GUESTS_SERVICE,
    ),
    Method(
        "relay",
        Policy.MEMBERS_ONLY,
        _USER,
        "access",
        guests.RelayRequest,
        guests.RelayReply,
        grpc.GUESTS_SERVICE,
        streams=True,
    ),
    Method(
        "downloads",
        Policy.MEMBERS_ONLY,
        _USER,
        READS,
        downloads.DownloadsRequest,
        downloads.DownloadsReply,
        grpc.IMAGES_SERVICE,
    ),
    Method(
        "export",
        _ADOPT,
        _USER,
        "export",
        exports.ExportRequest,
        exports.ExportReply,
        grpc.EXPORTS_SERVICE,
    ),
    Method(
        "import",
        _ADOPT,
        _USER,
        "import",
        exports.ImportRequest,
        launch.LaunchReply,
        grpc.EXPORTS_SERVICE,
    ),
    Method(
        "move", _ADOPT, _USER, "move", cluster.MoveRequest, cluster.MoveReply, grpc.CLUSTER_SERVICE
    ),
)

BY_PATH = {method.path: method for method in METHODS}
