"""Clusters of real Incus members, each a booted Debian 13, in a network namespace of their own.

    with incus_base() as base, cluster(base, members=2) as fabric:
        token = fabric.token()                       # for the restricted project `multipass`
        fabric.member(1).run("incus", "list")        # m1 is the first, and the leader at first
        subprocess.run([*fabric.entering, ...])      # runs where the members are reached

The fixture `incus_base` is for the whole run, tests/system/incus_site.py has the service with a
cluster. Members have the addresses ADDRESS, in each namespace the same ones, so any number of
clusters can run at once. A member has what the deb needs, so `give_package` and `dpkg -i` make it a
host of the service; otherwise the checkout's daemon is run by `entering`, which is quicker. The
network of containers is a bridge on each member, which the namespace reaches on member 1 alone
(`route_to_guests`).
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.system import bridged_namespace as network
from tests.system.host import PACKAGE, WORKER, Host, add_users
from tests.waiting import until
from tools import deb, roots

PROJECT = "multipass"
ADDRESS = "10.77.0.{}"  # .1 is the namespace's bridge, members begin at FIRST
FIRST = 11
PORT = 8443
GUESTS = "10.99.1"  # of the managed network, the same on each member
NETWORK = "incusbr0"
READY_SECONDS = 180.0  # of a member that rejoins, on a busy machine
# As the administrator's recipe in docs/how-to/cluster.md.
PROJECT_RIGHTS = (
    "features.images=true", "features.profiles=true", "features.networks=false",
    "features.storage.volumes=true", "restricted=true", "restricted.cluster.target=allow",
    "restricted.snapshots=allow",
)  # fmt: skip
# Not in a container: they would wait for a network, or load modules.
MASKED = (
    "systemd-modules-load.service", "systemd-networkd.service", "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
)  # fmt: skip
BASES = {"incus": roots.INCUS_HOST, "incus-vm": roots.INCUS_VM_HOST}
FILTER = "@keyring bpf @mount"
# On a file system that can map ids, as any server has it, and overlays can't: else all files of a
# container are changed at its first start, and of a copy in a restricted project twice.
POOLS = "/var/lib/incus/storage-pools"
FUSE = ("mknod", "-m", "666", "/dev/fuse", "c", "10", "229")  # as udev makes it, for containers


@contextmanager
def incus_base(kind: str = "incus") -> Iterator[Host]:
    """The root of all members, never booted itself. Raises RootError where none can be made."""
    with roots.unpacked(roots.tarball(kind, BASES[kind])) as root:
        add_users(root)
        (root / "etc/machine-id").write_text("")  # else presets decide at each first boot
        for unit in MASKED:
            (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        yield Host(root)


@contextmanager
def cluster(base: Host, members: int = 1, kind: type[Member] | None = None) -> Iterator[Cluster]:
    """Booted members, formed into a cluster with the project; stopped and removed afterwards."""
    with unformed(base, members, kind) as fabric:
        fabric.boot()
        fabric.form()
        fabric.make_project()
        yield fabric


@contextmanager
def unformed(base: Host, members: int, kind: type[Member] | None = None) -> Iterator[Cluster]:
    """Hosts that have Incus and nothing more, off."""
    with ExitStack() as stack:
        fabric = Cluster(stack.enter_context(network.bridged(ADDRESS.format(1))))
        for number in range(1, members + 1):
            member = stack.enter_context(_member(base, fabric, number, kind or Member))
            fabric.members.append(member)
        stack.callback(fabric.kill)  # quicker than an orderly stop, and nothing of it is kept
        yield fabric


class Member(Host):
    """A host that has Incus; `number` is also in its name and address."""

    number = 0
    namespace = ""
    pools = Path()  # out here, what its POOLS are

    @property
    def name(self) -> str:
        return f"m{self.number}"

    @property
    def address(self) -> str:
        return ADDRESS.format(FIRST + self.number - 1)

    def more_options(self) -> Sequence[str]:
        return (
            f"--hostname={self.name}", "--capability=all", f"--system-call-filter={FILTER}",
            f"--bind={self.pools}:{POOLS}",
        )  # fmt: skip

    def more_environment(self) -> Mapping[str, str]:
        return {"SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1"}

    def begun(self) -> None:
        """Connect it with the bridge, before it asks the others of its cluster for anything."""
        self.run(*FUSE)
        self.add_card(self.name, "eth0")
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "route", "add", "default", "via", ADDRESS.format(1))

    def add_card(self, end: str, name: str) -> None:
        """A card in the namespace's network, which has the other `end`."""
        peer = ("peer", "name", name, "netns", str(self.leader))
        network.ip("-n", self.namespace, "link", "add", end, "type", "veth", *peer)
        network.ip("-n", self.namespace, "link", "set", end, "master", network.BRIDGE, "up")
        self.run("ip", "link", "set", name, "up")

    def unplug(self) -> None:
        """As a cable that is pulled: packets are lost, in both directions. `connect` repairs it."""
        network.ip("-n", self.namespace, "link", "set", self.name, "down")

    def connect(self) -> None:
        network.ip("-n", self.namespace, "link", "set", self.name, "up")

    def give_package(self, path: str = PACKAGE) -> None:
        """The deb of this checkout lies there then, to be installed."""
        shutil.copyfile(deb.kept(), f"{self.root}{path}")

    def preseed(self, config: Mapping[str, object]) -> None:
        self.run("incus", "admin", "init", "--preseed", given=json.dumps(config))

    def query(self, path: str, *words: str) -> Any:
        """What the API says, asked as the member's root."""
        said = self.run("incus", "query", path, *words).stdout
        return json.loads(said) if said.strip() else None


class Cluster:
    """The members in their namespace. After `form` all answer."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.members: list[Member] = []

    @property
    def entering(self) -> list[str]:
        """What runs a command where the members are reached."""
        return ["ip", "netns", "exec", self.namespace]

    def member(self, number: int) -> Member:
        return self.members[number - 1]

    def named(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name)

    def boot(self) -> None:
        with ThreadPoolExecutor(len(self.members)) as pool:
            list(pool.map(lambda member: member.boot(), self.members))

    def form(self) -> None:
        first, *others = self.members
        first.preseed(_first(first, clustered=bool(others)))
        for other in others:
            said = first.run("incus", "cluster", "add", "--quiet", other.name).stdout
            other.preseed(_joining(other, said.split()[-1]))
        if others:
            # Seconds until a member counts as dead: the least that Incus takes, not its usual 20.
            first.run("incus", "config", "set", "cluster.offline_threshold=11")

    def make_project(self, name: str = PROJECT) -> None:
        rights = [word for right in PROJECT_RIGHTS for word in ("-c", right)]
        self.member(1).run("incus", "project", "create", name, *rights)

    def token(self, client: str = "service", project: str = PROJECT) -> str:
        """A token with which one client joins the project, once."""
        said = self.member(1).run(
            "incus", "config", "trust", "add", client, "--restricted", f"--projects={project}"
        )  # fmt: skip
        token = said.stdout.split()[-1]
        assert json.loads(base64.b64decode(token))["secret"], said
        return token

    def leader(self) -> Member:
        """Of the cluster's database."""
        for member in self.members:
            if member.leader:
                shown = member.query("/1.0/cluster/members?recursion=1")
                names = [
                    each["server_name"] for each in shown if "database-leader" in each["roles"]
                ]
                return self.named(names[0])
        raise AssertionError("no member runs")

    def wait_until_online(self, count: int | None = None) -> None:
        """Until so many members, or all, are online in the eyes of one that runs."""
        until(
            lambda: self.online() == (count or len(self.members)), "members", seconds=READY_SECONDS
        )

    def online(self) -> int:
        asked = next(member for member in self.members if member.leader)
        said = asked.run("incus", "query", "/1.0/cluster/members?recursion=1", code=None)
        if said.returncode:
            return 0
        return sum(each["status"] == "Online" for each in json.loads(said.stdout))

    def instances(self, project: str = PROJECT) -> dict[str, dict[str, Any]]:
        """By name, what a running member says of all instances of the project."""
        asked = next(member for member in self.members if member.leader)
        shown = asked.query(f"/1.0/instances?recursion=1&project={project}")
        return {each["name"]: each for each in shown}

    def route_to_guests(self) -> None:
        """Let the namespace reach containers directly, as where a network of clients is used."""
        first = self.member(1)
        network.ip("-n", self.namespace, "route", "replace", f"{GUESTS}.0/24", "via", first.address)

    def kill(self) -> None:
        for member in self.members:
            if member.leader:
                member.kill()


def _first(member: Member, *, clustered: bool) -> dict[str, object]:
    devices = {
        "root": {"type": "disk", "path": "/", "pool": "default"},
        "eth0": {"type": "nic", "name": "eth0", "network": NETWORK},
    }
    bridge = {"ipv4.address": f"{GUESTS}.1/24", "ipv4.nat": "true", "ipv6.address": "none"}
    config: dict[str, object] = {
        "config": {"core.https_address": f"{member.address}:{PORT}"},
        "networks": [{"name": NETWORK, "type": "bridge", "config": bridge}],
        "storage_pools": [{"name": "default", "driver": "dir"}],
        "profiles": [{"name": "default", "devices": devices}],
    }
    if clustered:
        config["cluster"] = {"server_name": member.name, "enabled": True}
    return config


def _joining(member: Member, token: str) -> dict[str, object]:
    return {
        "cluster": {
            "enabled": True,
            "server_address": f"{member.address}:{PORT}",
            "cluster_token": token,
            "member_config": [],
        }
    }


@contextmanager
def _member(base: Host, fabric: Cluster, number: int, kind: type[Member]) -> Iterator[Member]:
    with roots.scratch("multipass-pools-") as pools, base.copy_as(kind) as member:
        member.number, member.namespace, member.pools = number, fabric.namespace, pools
        processors = sorted(os.sched_getaffinity(0))
        processor = processors[(WORKER + number - 1) % len(processors)]
        member.pin = ("taskset", "-c", str(processor))
        yield member
