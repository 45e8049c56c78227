"""A daemon with images of its own for launches; its instances end with it."""

import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.place import CLIENT
from benchmarks.wire import Connection, context
from multipassd.images import cache
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.image import Base
from protocol.messages.launch import LaunchRequest
from tools import machines
from tools.daemon import Daemon
from tools.imagetree import PATHS, ImageTree, Release
from tools.sandbox import CHECKOUT, Sandbox

LAUNCH = "/multipass.Rpc/launch"
RUNNING = b"Waiting for initialization"  # the reply that follows QEMU's start
DOWNLOADED = b"Preparing image for"  # and the one that follows the image's
SECTOR, SIGNATURE = 512, b"\x55\xaa"
HALT = b"\xfa\xf4\xeb\xfd"  # cli; hlt; jmp: boots, and then costs nothing
SMALL = ("128M", "512M")  # the smallest memory and disk that the daemon accepts


class Site:
    """A running daemon; `launch` disconnects after the expected reply."""

    def __init__(self, sandbox: Sandbox, daemon: Daemon, tree: ImageTree, url: str) -> None:
        self.sandbox = sandbox
        self.daemon = daemon
        self.tree = tree
        self.url = url  # of the image server

    def connect(self) -> Connection:
        sandbox = self.sandbox
        tls = context(sandbox.root_cert, sandbox.certificate(CLIENT), sandbox.key(CLIENT))
        return Connection(sandbox.socket_path, tls)

    def launch(self, name: str, image: str, until: bytes, disk: str = "") -> float:
        """Seconds from the request to the reply with these words."""
        request = LaunchRequest(
            instance_name=name, image=image, mem_size=SMALL[0], disk_space=disk or SMALL[1]
        ).encode()
        connection = self.connect()
        try:
            connection.call("/multipass.Rpc/ping", b"")  # connecting is measured elsewhere
            started = time.perf_counter()
            connection.call_until(LAUNCH, request, until)
            return time.perf_counter() - started
        finally:
            connection.close()

    def command(self, *arguments: str) -> str:
        done = self.daemon.cli(CLIENT, *arguments, timeout=600)
        if done.returncode:
            raise RuntimeError(f"multipass {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def remove(self, name: str) -> None:
        self.command("stop", "--force", name)
        self.command("delete", "--purge", name)

    def publish(self, release: Release, image: Path) -> str:
        return self.tree.publish(image, release=release)

    def keep(self, release: Release, size: int) -> None:
        """Add a sparse image of this virtual size, with boot code only, as if downloaded before."""
        tag = self.sandbox.root / "tag"
        tag.write_text(release.name)
        directory = self.sandbox.storage / "images" / self.publish(release, tag)
        with CacheDirectory.at(directory) as place:
            write_disk(directory / "made", size)
            path = str(directory / cache.DISK)
            base = Base(id=directory.name, path=path, format="raw", virtual_size=size)
            cache.store(place, base, "made")

    def forget_images(self) -> None:
        for directory in (self.sandbox.storage / "images").iterdir():
            if directory.name != cache.LISTS:
                shutil.rmtree(directory)


def write_disk(path: Path, size: int) -> None:
    with path.open("wb") as disk:
        disk.write(struct.pack(f"<{SECTOR - 2}s2s", HALT, SIGNATURE))
        disk.truncate(size)


@contextmanager
def site(
    rate: int = 0,
    sandbox: Sandbox | None = None,
    env: Mapping[str, str] | None = None,
    addresses: Sequence[str] = (),
) -> Iterator[Site]:
    """`rate` is the image server's, in bytes a second; `env` is added to the daemon's;
    `addresses`: where it listens, beside its socket."""
    sandbox = sandbox or Sandbox.create()
    tree = ImageTree(sandbox.root / "served")
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.slow_server", str(tree.root), str(rate)],
        cwd=CHECKOUT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    remotes = " ".join(f"{name}={url}{path}/" for name, path in PATHS.items() if name != "core")
    daemon = Daemon(sandbox, env={"MULTIPASS_IMAGE_REMOTES": f"{remotes} core=", **(env or {})})
    for address in (daemon.address, *addresses) if addresses else ():
        daemon.options += ["--address", address]
    try:
        daemon.start()
        made = Site(sandbox, daemon, tree, url)
        made.command("list")
        yield made
    finally:
        try:
            daemon.stop()
        finally:
            machines.end(sandbox)
            server.terminate()
            server.wait()
            sandbox.remove()
