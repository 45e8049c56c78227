"""An HTTP server of images on this machine, for tests and ./dev run.

    python -m tools.imageserver DIRECTORY     serves a tree of `tools/imagetree.py`, prints its URL

It can close connections early, be slow, and send wrong content; it records requests.
"""

from __future__ import annotations

import re
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import unquote

from tools.imagetree import PATHS

CHUNK = 64 << 10

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request that was answered."""

    path: str
    range: str
    status: int
    agent: str = ""


@dataclass
class Faults:
    """Faults of the server, by the end of a path."""

    break_after: dict[str, list[int]] = field(default_factory=dict)  # bytes; one each request
    corrupt: set[str] = field(default_factory=set)  # the first byte is another one
    rate: int = 0  # bytes a second for each connection; 0: as fast as it goes
    gate: threading.Event | None = None  # images stop after their first chunk until it is set
    status: dict[str, int] = field(default_factory=dict)  # answered instead of the file
    no_ranges: bool = False
    no_validators: bool = False
    redirect: dict[str, str] = field(default_factory=dict)


class ImageServer:
    """Serves `root` from `start` to `stop`."""

    def __init__(self, root: Path, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.root = root
        self.faults = Faults()
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.owner = self
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/"

    def base(self, remote: str = "release") -> str:
        return f"{self.url}{PATHS[remote]}/"

    def remotes(self) -> str:
        """MULTIPASS_IMAGE_REMOTES with all remotes, so that no real server is asked."""
        return " ".join(f"{name}={self.base(name)}" for name in PATHS)

    def fetched(self, ending: str) -> list[Request]:
        return [request for request in self.requests if request.path.endswith(ending)]

    def start(self) -> ImageServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        if self.faults.gate:
            self.faults.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[ImageServer]:
    server = ImageServer(root, tls).start()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    owner: ImageServer
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore errors of callers that disconnect, which tests do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    types: ClassVar[dict[str, str]] = {".json": "application/json"}

    def do_GET(self) -> None:
        owner, faults = self.server.owner, self.server.owner.faults
        path = unquote(self.path.partition("?")[0])
        file = (owner.root / path.lstrip("/")).resolve()
        if not file.is_relative_to(owner.root.resolve()) or not file.is_file():
            self._refuse(404)
        elif status := _of(faults.status, path):
            self._refuse(status)
        elif target := _of(faults.redirect, path):
            self._note(302)
            self._head(302, 0, {"Location": target})
        else:
            self._send(file, path, faults)

    def _send(self, file: Path, path: str, faults: Faults) -> None:
        status = file.stat()
        size, start = status.st_size, 0
        tag = f'"{status.st_mtime_ns:x}-{size:x}"'
        headers = {"Content-Type": self.types.get(file.suffix, "application/octet-stream")}
        if not faults.no_validators:
            headers |= {"ETag": tag, "Last-Modified": formatdate(status.st_mtime, usegmt=True)}
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and not faults.no_ranges and self.headers.get("If-Range", tag) == tag:
            start = int(wanted[1])
            if start >= size:
                self._note(416)
                self._head(416, 0, {"Content-Range": f"bytes */{size}"})
                return
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        code = 206 if "Content-Range" in headers else 200
        self._note(code)
        self._head(code, size - start, headers)
        with suppress(OSError):
            self._body(file, path, start, faults)

    def _body(self, file: Path, path: str, start: int, faults: Faults) -> None:
        limits = _of(faults.break_after, path)
        left = limits.pop(0) if limits else sys.maxsize
        corrupt = start == 0 and any(path.endswith(ending) for ending in faults.corrupt)
        began, sent = time.monotonic(), 0
        with file.open("rb") as reader:
            reader.seek(start)
            while chunk := reader.read(min(CHUNK, left)):
                if corrupt and sent == 0:
                    chunk = bytes([chunk[0] ^ 1]) + chunk[1:]
                self.wfile.write(chunk)
                sent, left = sent + len(chunk), left - len(chunk)
                if faults.gate and file.suffix != ".json":
                    faults.gate.wait()
                if faults.rate:
                    time.sleep(max(0.0, began + sent / faults.rate - time.monotonic()))
        if left == 0:
            self.close_connection = True

    def _refuse(self, status: int) -> None:
        self._note(status)
        self._head(status, 0, {})

    def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(length)}.items():
            self.send_header(name, value)
        self.end_headers()

    def _note(self, status: int) -> None:
        agent, wanted = self.headers.get("User-Agent", ""), self.headers.get("Range", "")
        self.server.owner.requests.append(Request(self.path, wanted, status, agent))

    def log_message(self, format: str, *args: object) -> None:
        pass


def _of(table: dict[str, T], path: str) -> T | None:
    return next((value for ending, value in table.items() if path.endswith(ending)), None)


if __name__ == "__main__":
    server = ImageServer(Path(sys.argv[1]), port=int(sys.argv[2]) if sys.argv[2:] else 0).start()
    print(server.url, f'MULTIPASS_IMAGE_REMOTES="{server.remotes()}"', sep="\n", flush=True)
    with suppress(KeyboardInterrupt):
        while True:  # with one long wait, Ctrl-C just before it would be lost
            time.sleep(1)
    server.stop()
