"""One file a call; this table says which are served. The others answer UNIMPLEMENTED."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.methods import (
    authenticate,
    clients,
    daemon_info,
    get,
    keys,
    list_,
    ping,
    remove,
    set_,
    version,
    wait_ready,
)
from protocol import grpc

Handler = Callable[[Call[Any], Daemon], Awaitable[None]]

HANDLERS: dict[str, Handler] = {
    grpc.path("authenticate"): authenticate.run,
    grpc.path("daemon_info"): daemon_info.run,
    grpc.path("get"): get.run,
    grpc.path("keys"): keys.run,
    grpc.path("list"): list_.run,
    grpc.path("ping"): ping.run,
    grpc.path("set"): set_.run,
    grpc.path("version"): version.run,
    grpc.path("wait_ready"): wait_ready.run,
    grpc.path("clients", grpc.TRUST_SERVICE): clients.run,
    grpc.path("remove", grpc.TRUST_SERVICE): remove.run,
}
