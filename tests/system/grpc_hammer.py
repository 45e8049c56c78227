"""A program: Google's gRPC calling `list` in a loop, or holding one connection, until stdin ends.

    grpc_hammer.py one|new|hold ADDRESS ROOT_CERTIFICATE CERTIFICATE KEY

`one` is a long-lived channel, `new` a channel for each call; both say when they made the first, and
print a JSON object of calls made and what those that failed said. `hold` makes one call, says so
and keeps its connection.
"""

import json
import sys
import threading
from pathlib import Path

import grpc

SECONDS = 30.0  # as the CLI waits for a service that is woken
LIST = "/multipass.Rpc/list"


def main(arguments: list[str]) -> int:
    how, address, *files = arguments
    root, certificate, key = (Path(name).read_bytes() for name in files)
    credentials = grpc.ssl_channel_credentials(root, key, certificate)
    ended = threading.Event()
    threading.Thread(target=_await_end, args=[ended], daemon=True).start()
    if how == "hold":
        with _channel(address, credentials) as channel:
            _list(channel)
            print("held", flush=True)
            ended.wait()
        return 0
    print(json.dumps(_hammer(address, credentials, ended, keeping=how == "one")))
    return 0


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _hammer(
    address: str, credentials: grpc.ChannelCredentials, ended: threading.Event, *, keeping: bool
) -> dict[str, object]:
    calls, failed = 0, []
    channel = _channel(address, credentials)
    while not ended.is_set():
        calls += 1
        try:
            _list(channel)
        except grpc.RpcError as error:
            failed.append(f"{error.code().name}: {error.details()}")
        if calls == 1:
            print("begun", flush=True)
        if not keeping:
            channel.close()
            channel = _channel(address, credentials)
    channel.close()
    return {"calls": calls, "failed": failed}


def _channel(address: str, credentials: grpc.ChannelCredentials) -> grpc.Channel:
    return grpc.secure_channel(
        address,
        credentials,
        options=[
            ("grpc.ssl_target_name_override", "localhost"),
            ("grpc.default_authority", "localhost"),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


def _list(channel: grpc.Channel) -> None:
    # A channel that lost its connection fails calls at once for a second, without connecting,
    # unless they wait for a connection.
    channel.unary_unary(LIST)(b"", timeout=SECONDS, wait_for_ready=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
