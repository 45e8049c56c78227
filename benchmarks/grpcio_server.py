"""The reference server: grpcio with ping and an empty list over plain TLS.

python -m benchmarks.grpcio_server SOCKET CERTIFICATE KEY MUTUAL_SOCKET CLIENTS_CERTIFICATE

At the second socket it asks for that client's certificate, as the daemon asks each client for one.
"""

import signal
import sys
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc

WORKERS = 32
EMPTY_LIST = b"\x0a\x00"  # ListReply { instance_list {} }


def ping(_request: bytes, _context: Any) -> bytes:
    return b""


def list_(requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
    next(requests)
    yield EMPTY_LIST


def main(path: str, certificate: str, key: str, mutual: str, client: str) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS))
    methods = {
        "ping": grpc.unary_unary_rpc_method_handler(ping),
        "list": grpc.stream_stream_rpc_method_handler(list_),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("multipass.Rpc", methods),)
    )
    pair = (Path(key).read_bytes(), Path(certificate).read_bytes())
    server.add_secure_port(f"unix:{path}", grpc.ssl_server_credentials([pair]))
    asking = grpc.ssl_server_credentials([pair], Path(client).read_bytes(), True)
    server.add_secure_port(f"unix:{mutual}", asking)
    server.start()
    print("READY", flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent process
    signal.sigwait({signal.SIGTERM})
    server.stop(grace=None).wait()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    main(*sys.argv[1:])
