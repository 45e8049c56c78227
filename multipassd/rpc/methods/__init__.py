"""The calls that are served, one function each, by topic. Others answer UNIMPLEMENTED.

A topic is loaded with its first call: the start of the service needs none of them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from protocol import grpc

if TYPE_CHECKING:
    from multipassd.rpc.call import Call
    from multipassd.rpc.context import Daemon
    from multipassd.rpc.dispatcher import Handler


class Late:
    """A function of a module beside this one, loaded at its first call."""

    def __init__(self, topic: str, name: str) -> None:
        self.topic = topic
        self.name = name

    def __call__(self, call: Call[Any], daemon: Daemon) -> Awaitable[None]:
        return self.function(call, daemon)

    @cached_property
    def function(self) -> Handler:
        return cast("Handler", getattr(import_module(f"{__name__}.{self.topic}"), self.name))


HANDLERS: dict[str, Handler] = {
    grpc.path("authenticate"): Late("access", "authenticate"),
    grpc.path("clone"): Late("clone", "clone"),
    grpc.path("create"): Late("launch", "launch"),
    grpc.path("daemon_info"): Late("access", "daemon_info"),
    grpc.path("delet"): Late("lifecycle", "delet"),
    grpc.path("find"): Late("images", "find"),
    grpc.path("get"): Late("settings", "get"),
    grpc.path("info"): Late("information", "info"),
    grpc.path("keys"): Late("settings", "keys"),
    grpc.path("launch"): Late("launch", "launch"),
    grpc.path("list"): Late("listing", "list_"),
    grpc.path("mount"): Late("mounts", "mount"),
    grpc.path("networks"): Late("information", "networks"),
    grpc.path("ping"): Late("access", "ping"),
    grpc.path("purge"): Late("lifecycle", "purge"),
    grpc.path("recover"): Late("lifecycle", "recover"),
    grpc.path("restart"): Late("lifecycle", "restart"),
    grpc.path("restore"): Late("snapshots", "restore"),
    grpc.path("set"): Late("settings", "set_"),
    grpc.path("snapshot"): Late("snapshots", "snapshot"),
    grpc.path("ssh_info"): Late("guests", "ssh_info"),
    grpc.path("start"): Late("lifecycle", "start"),
    grpc.path("stop"): Late("lifecycle", "stop"),
    grpc.path("suspend"): Late("lifecycle", "suspend"),
    grpc.path("umount"): Late("mounts", "umount"),
    grpc.path("version"): Late("access", "version"),
    grpc.path("wait_ready"): Late("access", "wait_ready"),
    grpc.path("clients", grpc.TRUST_SERVICE): Late("trust", "clients"),
    grpc.path("downloads", grpc.IMAGES_SERVICE): Late("images", "downloads"),
    grpc.path("certify", grpc.GUESTS_SERVICE): Late("guests", "certify"),
    grpc.path("host_keys", grpc.GUESTS_SERVICE): Late("guests", "host_keys"),
    grpc.path("relay", grpc.GUESTS_SERVICE): Late("relay", "relay"),
    grpc.path("grant", grpc.TRUST_SERVICE): Late("trust", "grant"),
    grpc.path("invite", grpc.TRUST_SERVICE): Late("trust", "invite"),
    grpc.path("remove", grpc.TRUST_SERVICE): Late("trust", "remove"),
    grpc.path("renew", grpc.TRUST_SERVICE): Late("trust", "renew"),
    grpc.path("revoke", grpc.TRUST_SERVICE): Late("trust", "revoke"),
    grpc.path("roots", grpc.TRUST_SERVICE): Late("trust", "roots"),
    grpc.path("export", grpc.EXPORTS_SERVICE): Late("exports", "export"),
    grpc.path("import", grpc.EXPORTS_SERVICE): Late("exports", "import_"),
    grpc.path("move", grpc.CLUSTER_SERVICE): Late("cluster", "move"),
}
