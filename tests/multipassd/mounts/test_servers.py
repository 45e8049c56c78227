"""The servers of mounts as the daemon sees them, with a stand-in for ssh: no guest is reached."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from multipassd.mounts.client import MountFailed, MountServers, SourceRefused
from multipassd.mounts.order import Order
from tests.multipassd.mounts.peer import order
from tests.reachable import reachable
from tests.waiting import until

MOUNTS = "#!/bin/sh\necho mounted >&2\necho $$ >> {pids}\nexec cat > /dev/null\n"
FAILS = "#!/bin/sh\nprintf 'first\\nfuse: no such \\033[2Jdevice\\n' >&2\nexit 1\n"


class Place:
    """A storage directory, a directory to serve, and the ssh that servers find."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = root / "source"
        self.source.mkdir()
        self.key = root / "key"
        self.key.write_text("no key")
        self.ssh(MOUNTS)

    def ssh(self, script: str) -> None:
        path = self.root / "bin" / "ssh"
        path.parent.mkdir(exist_ok=True)
        path.write_text(script.format(pids=self.root / "pids"))
        path.chmod(0o755)

    def servers(self, storage: str = "storage") -> MountServers:
        return MountServers(self.root / storage, self.key)

    def order(self, target: str = "t", storage: str = "storage") -> Order:
        return replace(order(self.source), target=target, storage=str(self.root / storage))

    def ssh_runs(self) -> bool:
        pids = (self.root / "pids").read_text().split()
        return any(Path(f"/proc/{pid}/cmdline").exists() and _words(int(pid)) for pid in pids)

    def server(self, target: str = "t") -> int:
        """Its process."""
        name = self.order(target).socket
        place = f"MULTIPASS_MOUNTS_DIRECTORY={self.root}/storage/mounts".encode()
        found = [
            pid
            for pid in map(int, filter(str.isdecimal, os.listdir("/proc")))
            if "multipass-mounts" in _words(pid) and place in _environment(pid)
        ]
        assert (self.root / "storage/mounts" / name).is_socket()
        return min(found)

    @staticmethod
    def children(pid: int) -> list[int]:
        """Its file server; ssh is another program."""
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [each for each in map(int, found) if "multipass-mounts" in _words(each)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    reachable(tmp_path)
    here = Place(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    yield here
    for storage in ("storage", "other"):
        asyncio.run(here.servers(storage).stop_others("foo", set()))


def test_a_server_outlives_who_started_it_and_is_found_by_the_next(place: Place) -> None:
    asyncio.run(place.servers().start(place.order()))
    later = place.servers()
    assert asyncio.run(later.serving("foo", "t")) == place.order()
    assert asyncio.run(later.serving("foo", "other")) is None
    asyncio.run(later.stop("foo", "t"))
    assert asyncio.run(later.serving("foo", "t")) is None
    until(lambda: not place.ssh_runs())
    assert os.listdir(place.root / "storage/mounts") == []


def test_a_killed_server_takes_its_parts_along_and_its_end_is_noticed(place: Place) -> None:
    async def story() -> None:
        servers = place.servers()
        await servers.start(place.order())
        waiting = asyncio.create_task(servers.ended("foo", "t"))
        await asyncio.sleep(0)
        os.kill(place.server(), signal.SIGKILL)
        await waiting
        assert await servers.serving("foo", "t") is None
        await servers.start(place.order())  # in the place of the dead one's socket
        assert await servers.serving("foo", "t") is not None

    asyncio.run(story())


def test_a_file_server_that_its_user_stopped_ends_with_its_mount(place: Place) -> None:
    """Else all who look at the mount in the guest would hang."""

    async def story() -> int:
        servers = place.servers()
        await servers.start(place.order())
        (files,) = place.children(place.server())
        waiting = asyncio.create_task(servers.ended("foo", "t"))
        await asyncio.sleep(0)
        os.kill(files, signal.SIGSTOP)
        await waiting
        await servers.start(place.order())
        return files

    files = asyncio.run(story())
    until(lambda: not _words(files))


def test_only_servers_of_this_storage_and_instance_are_ended(place: Place) -> None:
    async def story() -> None:
        ours, theirs = place.servers(), place.servers("other")
        theirs._directory = ours._directory = str(place.root / "shared")  # as in /run
        await theirs.start(place.order(storage="other"))
        for target in ("t", "u"):
            await ours.start(place.order(target))
        await ours.stop_others("bar", set())
        await ours.stop_others("foo", {"u"})
        assert await ours.serving("foo", "t") is None
        assert await ours.serving("foo", "u") is not None
        assert await theirs.serving("foo", "t") is not None
        for each in (ours, theirs):
            await each.stop_others("foo", set())

    asyncio.run(story())


def test_what_the_guest_says_last_is_the_reason_and_fit_to_show(place: Place) -> None:
    place.ssh(FAILS)
    with pytest.raises(MountFailed) as caught:
        asyncio.run(place.servers().start(place.order()))
    assert caught.value.message == "fuse: no such [2Jdevice"
    assert not isinstance(caught.value, SourceRefused)


def test_a_source_that_is_gone_is_told_apart(place: Place) -> None:
    place.source.rmdir()
    with pytest.raises(SourceRefused) as caught:
        asyncio.run(place.servers().start(place.order()))
    assert caught.value.message == f'"{place.source}" does not exist'


def test_a_start_that_is_given_up_leaves_no_process(place: Place) -> None:
    place.ssh("#!/bin/sh\necho $$ >> {pids}\nexec cat > /dev/null\n")  # says nothing

    async def story() -> None:
        starting = asyncio.create_task(place.servers().start(place.order()))
        await asyncio.to_thread(until, (place.root / "pids").exists)
        starting.cancel()
        await asyncio.wait({starting})

    asyncio.run(story())
    until(lambda: not place.ssh_runs())


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
