"""The checkout's daemon with an Incus cluster, run in the cluster's network namespace.

    with incus_site(fabric) as site:                 # has joined, makes containers
        site.done("launch", "--name", "foo", site.url)

All of `tests.instances.site.Site` works: `done`, `cli`, `inside`, `states`, `kill_daemon`, ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.instances.site import Site
from tests.system.incus_cluster import Cluster
from tools import containerimage

ENTER_TOKEN = "Please enter the token:"


class IncusSite(Site):
    def __init__(self, fabric: Cluster, env: Mapping[str, str] | None = None) -> None:
        super().__init__(env)
        self.fabric = fabric
        self.entering = fabric.entering
        self.daemon.run_inside(fabric.entering)
        self.daemon.options = ["--logger", "stderr", *self.daemon.options]

    @property
    def url(self) -> str:
        return f"file://{containerimage.kept()}"

    def join(self) -> None:
        """Become a client of the cluster, for containers."""
        self.done("set", "local.driver=incus")
        self.done("set", f"local.incus.token={self.fabric.token()}")
        self.done("set", "local.incus.type=container")


@contextmanager
def incus_site(fabric: Cluster, env: Mapping[str, str] | None = None) -> Iterator[IncusSite]:
    """A running daemon that has joined. What it made is removed with the cluster, not before."""
    site = IncusSite(fabric, env)
    try:
        site.daemon.start()
        site.join()
        yield site
        site.daemon.stop()
    finally:
        site.daemon.abandon()
        site.sandbox.remove()
