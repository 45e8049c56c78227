"""The checkout's daemon with an Incus cluster, run in the cluster's network namespace.

    with incus_site(fabric) as site:                 # has joined, makes containers
        site.done("launch", "--name", "foo", site.url)

All of `tests.instances.site.Site` works: `done`, `cli`, `inside`, `states`, `kill_daemon`, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.instances.site import Site
from tests.system.incus_cluster import NETWORK, Cluster
from tools import cloudimage, containerimage


class IncusSite(Site):
    what_is_made = "local.incus.type=container"

    def __init__(self, fabric: Cluster, env: Mapping[str, str] | None = None) -> None:
        super().__init__(env)
        self.fabric = fabric
        self.entering = fabric.entering
        self.daemon.run_inside(fabric.entering)
        self.daemon.options = ["--logger", "stderr", *self.daemon.options]

    @contextmanager
    def running(self, *, joined: bool = True) -> Iterator[None]:
        """With its daemon."""
        try:
            self.daemon.start()
            if joined:
                self.join()
            yield
            self.daemon.stop()
        finally:
            self.daemon.abandon()
            self.sandbox.remove()

    @property
    def url(self) -> str:
        return f"file://{containerimage.kept()}"

    def boot_id(self, name: str) -> str:
        """When its PID 1 began, as containers share their kernel's own id."""
        return self.inside(name, "cut -d ' ' -f 22 /proc/1/stat")

    def reboot(self, name: str) -> None:
        before = self.boot_id(name)
        self.cli("exec", name, "--", "sudo", "reboot")

        def booted() -> bool:
            asked = self.cli("exec", name, "--", "cut", "-d", " ", "-f", "22", "/proc/1/stat")
            return asked.returncode == 0 and asked.stdout.strip() != before

        self.wait_for(booted, "the reboot")

    @property
    def record_place(self) -> Path:
        return self.storage / "data/incus/instances"

    def kept_of(self, name: str) -> list[Path]:
        """On this host, and on the cluster."""
        machines = (self.storage / "incus/machines").glob(f"*{name}*")
        there = [Path(each) for each in self.fabric.instances() if name in each]
        return [*self.records(name), *machines, *there]

    def qemus(self) -> list[int]:
        return []

    def qemus_of(self, name: str) -> list[int]:
        return []

    def join(self, token: str = "") -> None:
        """Become a client of the cluster."""
        self.done("list")  # adopts the client
        self.done("set", "local.driver=incus")
        self.done("set", f"local.incus.token={token or self.fabric.token()}")
        self.done("set", self.what_is_made)


class VirtualMachineSite(IncusSite):
    """A site that makes virtual machines, on a network that it reaches: see `route_to_guests`."""

    what_is_made = f"local.incus.network={NETWORK}"

    @property
    def url(self) -> str:
        return f"file://{cloudimage.kept('uefi')}"

    def boot_id(self, name: str) -> str:
        return Site.boot_id(self, name)

    def identity(self, name: str) -> tuple[str, str, str]:
        """What no two machines have in common."""
        machine_id = self.inside(name, "cat /etc/machine-id")
        card = self.inside(name, "cat /sys/class/net/eth0/address")
        return machine_id, card, self.inside(name, "sudo cat /etc/ssh/ssh_host_ed25519_key")


@contextmanager
def incus_site(
    fabric: Cluster, env: Mapping[str, str] | None = None, *, joined: bool = True
) -> Iterator[IncusSite]:
    """A running daemon that has joined. What it made is removed with the cluster, not before."""
    site = IncusSite(fabric, env)
    with site.running(joined=joined):
        yield site
