"""What the fake of Incus has: its project's rights and limits, pools, networks, members' means. As
a client with a restricted certificate sees them: pools by their names alone, networks without
their configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.multipassd.drivers.incus.fake_operations import Failure, Json
from tests.multipassd.drivers.incus.fake_server import MEMBER, fake_of, sync

if TYPE_CHECKING:
    from tests.multipassd.drivers.incus.fake_incus import FakeIncus

GIB = 1 << 30
RIGHTS = {
    "features.images": "true",
    "features.profiles": "true",
    "restricted": "true",
    "restricted.cluster.target": "allow",
    "restricted.snapshots": "allow",
}


def _pool() -> Json:
    return {"default": {"name": "default", "driver": "dir", "status": "Created", "config": None}}


def _network() -> Json:
    shown = {
        "name": "incusbr0", "type": "bridge", "managed": True, "status": "Created",
        "description": "", "config": {},
    }  # fmt: skip
    return {"incusbr0": shown}


@dataclass
class Resources:
    """Tests change what they are about. `used`: bytes of a pool, by the member; `kvm`: the members
    that run virtual machines, too."""

    config: Json = field(default_factory=lambda: dict(RIGHTS))
    limits: dict[str, tuple[int, int]] = field(default_factory=dict)  # by kind: limit, usage
    pools: Json = field(default_factory=_pool)
    networks: Json = field(default_factory=_network)
    gateway: str = "10.99.1.1"
    used: dict[str, int] = field(default_factory=dict)
    total: int = 10 * GIB
    kvm: set[str] = field(default_factory=set)
    evacuated: set[str] = field(default_factory=set)


def _target(request: web.Request) -> str:
    fake = fake_of(request)
    name = request.query.get("target") or str(request.app[MEMBER].name)
    if name not in {each.name for each in fake.members}:
        raise Failure(404, "Cluster member not found")
    if not fake.runs(name):
        raise Failure(400, f'Cluster member "{name}" is offline')
    return name


def environment(request: web.Request) -> Json:
    """Of the member that is asked for."""
    name = _target(request)
    kvm = name in fake_of(request).resources.kvm
    return {"server_name": name, "driver": "lxc | qemu" if kvm else "lxc"}


def _project_of(request: web.Request) -> FakeIncus:
    fake = fake_of(request)
    if request.match_info["project"] != fake.instances.project:
        raise Failure(404, "Project not found")
    return fake


async def project(request: web.Request) -> web.Response:
    fake = _project_of(request)
    shown = {"name": fake.instances.project, "config": fake.resources.config, "used_by": []}
    return sync(shown)


async def project_state(request: web.Request) -> web.Response:
    limits = {"instances": (-1, 0), **_project_of(request).resources.limits}
    shown = {kind: {"Limit": limit, "Usage": usage} for kind, (limit, usage) in limits.items()}
    return sync({"resources": shown})


async def pools(request: web.Request) -> web.Response:
    raise Failure(403, "Certificate is restricted")


async def networks(request: web.Request) -> web.Response:
    known = fake_of(request).resources.networks
    deep = request.query.get("recursion", "0") != "0"
    return sync(list(known.values()) if deep else [f"/1.0/networks/{name}" for name in known])


def _of_table(name: str, what: str) -> Any:
    async def show(request: web.Request) -> web.Response:
        table, key = getattr(fake_of(request).resources, name), request.match_info["key"]
        if key not in table:
            raise Failure(404, f"{what} not found")
        return sync(table[key])

    return show


def _space(request: web.Request) -> Json:
    resources = fake_of(request).resources
    used = resources.used.get(_target(request), GIB)
    return {"space": {"used": used, "total": resources.total}, "inodes": {}}


async def pool_resources(request: web.Request) -> web.Response:
    if request.match_info["key"] not in fake_of(request).resources.pools:
        raise Failure(404, "Storage pool not found")
    return sync(_space(request))


async def network_state(request: web.Request) -> web.Response:
    resources = fake_of(request).resources
    if request.match_info["key"] not in resources.networks:
        raise Failure(404, "Network not found")
    address = {"family": "inet", "address": resources.gateway, "netmask": "24", "scope": "global"}
    return sync({"addresses": [address] if resources.gateway else [], "state": "up"})


async def member_state(request: web.Request) -> web.Response:
    fake, name = fake_of(request), request.match_info["member"]
    if len(fake.members) == 1 or name not in {each.name for each in fake.members}:
        raise Failure(404, "Cluster member not found")
    resources = fake.resources
    space = {"used": resources.used.get(name, GIB), "total": resources.total}
    return sync(
        {"sysinfo": {}, "storage_pools": {key: {"space": space} for key in resources.pools}}
    )


ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/1.0/projects/{project}", project),
    ("GET", "/1.0/projects/{project}/state", project_state),
    ("GET", "/1.0/cluster/members/{member}/state", member_state),
    ("GET", "/1.0/storage-pools", pools),
    ("GET", "/1.0/storage-pools/{key}", _of_table("pools", "Storage pool")),
    ("GET", "/1.0/storage-pools/{key}/resources", pool_resources),
    ("GET", "/1.0/networks", networks),
    ("GET", "/1.0/networks/{key}", _of_table("networks", "Network")),
    ("GET", "/1.0/networks/{key}/state", network_state),
)
