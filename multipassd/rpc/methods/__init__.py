"""One file a call; this table says which are served. The others answer UNIMPLEMENTED."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from multipassd.rpc.methods import (
    authenticate,
    clients,
    daemon_info,
    delet,
    downloads,
    find,
    get,
    host_keys,
    info,
    keys,
    launch,
    list_,
    networks,
    ping,
    purge,
    recover,
    remove,
    restart,
    set_,
    ssh_info,
    start,
    stop,
    suspend,
    version,
    wait_ready,
)
from protocol import grpc

Handler = Callable[[Call[Any], Daemon], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    grpc.path("authenticate"): authenticate.run,
    grpc.path("create"): launch.run,
    grpc.path("daemon_info"): daemon_info.run,
    grpc.path("delet"): delet.run,
    grpc.path("find"): find.run,
    grpc.path("get"): get.run,
    grpc.path("info"): info.run,
    grpc.path("keys"): keys.run,
    grpc.path("launch"): launch.run,
    grpc.path("list"): list_.run,
    grpc.path("networks"): networks.run,
    grpc.path("ping"): ping.run,
    grpc.path("purge"): purge.run,
    grpc.path("recover"): recover.run,
    grpc.path("restart"): restart.run,
    grpc.path("set"): set_.run,
    grpc.path("ssh_info"): ssh_info.run,
    grpc.path("start"): start.run,
    grpc.path("stop"): stop.run,
    grpc.path("suspend"): suspend.run,
    grpc.path("version"): version.run,
    grpc.path("wait_ready"): wait_ready.run,
    grpc.path("clients", grpc.TRUST_SERVICE): clients.run,
    grpc.path("downloads", grpc.IMAGES_SERVICE): downloads.run,
    grpc.path("host_keys", grpc.GUESTS_SERVICE): host_keys.run,
    grpc.path("remove", grpc.TRUST_SERVICE): remove.run,
}
