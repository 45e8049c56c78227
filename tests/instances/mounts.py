"""A directory of the host in an instance, mounted by its record, and the processes behind it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.instances.site import Site

HELPER = "bin/multipass-mounts"
UID = 54_321 if os.geteuid() == 0 else os.getuid()  # without an account


@dataclass
class Mounted:
    """`source` is mounted in the instance `name` on `target`."""

    site: Site
    name: str
    source: Path
    target: str = "data"

    def inside(self, command: str) -> str:
        return self.site.inside(self.name, command)

    def there(self) -> bool:
        """Can the guest read it?"""
        done = self.site.cli("exec", self.name, "--", "cat", f"{self.target}/hello")
        return done.stdout == "hi\n"

    def wait(self) -> None:
        self.site.wait_for(self.there, f"the mount in {self.name}")

    def servers(self) -> list[int]:
        """The supervising processes."""
        found = [pid for pid in _helpers(self.site) if _parent(pid) not in _helpers(self.site)]
        return sorted(found)

    def parts(self) -> dict[str, int]:
        """The process ids of the server, and of its ssh and its file server."""
        (server,) = self.servers()
        children = {
            "ssh" if "ssh" in _words(pid)[0] else "files": pid
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if _parent(pid) == server
        }
        return {"server": server, **children}


@contextmanager
def mounted(site: Site, name: str) -> Iterator[Mounted]:
    """In an instance that runs; the daemon is restarted for it."""
    with directory() as source:
        here = Mounted(site, name, source)
        put(here)
        yield here


def put(here: Mounted) -> None:
    """Into the record; then it is mounted."""
    mount = {"source": str(here.source), "target": here.target, "uid": UID, "gid": UID}
    here.site.daemon.stop()
    set_mounts(here.site, here.name, mount)
    here.site.daemon.start()
    here.wait()


@contextmanager
def directory() -> Iterator[Path]:
    """A directory of UID's that all users can enter."""
    place = Path(tempfile.mkdtemp(prefix="multipass-source-"))
    place.chmod(0o755)
    source = place / "a source"
    source.mkdir()
    (source / "hello").write_text("hi\n")
    for path in (source, source / "hello"):
        os.chown(path, UID, UID if os.geteuid() == 0 else -1)
    try:
        yield source
    finally:
        shutil.rmtree(place)


def set_mounts(site: Site, name: str, *mounts: dict[str, object]) -> None:
    """In the instance's record; the daemon does not run."""
    path = record(site, name)
    known = json.loads(path.read_text())
    known["mounts"] = list(mounts)
    path.write_text(json.dumps(known))


def record(site: Site, name: str) -> Path:
    return site.record_place / f"{name}.json"


def _helpers(site: Site) -> list[int]:
    directory = f"MULTIPASS_MOUNTS_DIRECTORY={site.storage}/mounts"
    found = []
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with suppress(OSError):
            environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if any(HELPER in word for word in _words(pid)) and directory.encode() in environment:
                found.append(pid)
    return found


def _words(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return [""]


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def children(parent: int) -> list[int]:
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if _parent(pid) == parent]  # fmt: skip
