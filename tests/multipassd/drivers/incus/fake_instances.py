"""The instances of the fake of Incus, in memory: their life, snapshots and files."""

from __future__ import annotations

import asyncio
import copy
import ipaddress
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.multipassd.drivers.incus.fake_operations import Failure, Json, Operation, Operations, now

STOPPED, RUN, FROZEN, ERROR = (
    ("Stopped", 102),
    ("Running", 103),
    ("Frozen", 110),
    ("Error", 112),
)
UNKNOWN = ("config", "devices", "profiles")  # of an instance whose member does not answer
KEPT_BY_PUT = ("architecture", "config", "devices", "profiles", "description", "ephemeral")
MAC = "10:66:6a:00:00:{:02x}"


class File(NamedTuple):
    """`kind`: "file" or "directory"."""

    kind: str
    data: bytes
    uid: int
    gid: int
    mode: int


class Instance:
    """One of them; `shown` is what the API shows without state and snapshots."""

    def __init__(self, shown: Json, number: int) -> None:
        self.shown = shown
        self.number = number
        self.snapshots: dict[str, Json] = {}
        self.files: dict[str, File] = {"/": File("directory", b"", 0, 0, 0o755)}
        self.log = b"booted\n"
        self.saved = False  # is there a state that the next start resumes?

    @property
    def name(self) -> str:
        return str(self.shown["name"])

    @property
    def runs(self) -> bool:
        return bool(self.shown["status"] != STOPPED[0])

    def set(self, state: tuple[str, int]) -> None:
        self.shown |= {"status": state[0], "status_code": state[1]}

    def state(self, reachable: bool = True) -> Json:
        runs = self.runs and reachable
        address = str(ipaddress.ip_address("10.99.1.10") + self.number)
        eth0 = {
            "addresses": [
                {"family": "inet", "address": address, "netmask": "24", "scope": "global"}
            ],
            "hwaddr": self.shown["config"].get("volatile.eth0.hwaddr", ""),
            "state": "up",
            "type": "broadcast",
        }
        return {
            "status": self.shown["status"],
            "status_code": self.shown["status_code"],
            "cpu": {"usage": 10**9 if runs else 0},
            "memory": {"usage": 64 << 20 if runs else 0, "total": 1 << 30},
            "disk": {"root": {"usage": 5 << 20, "total": 0}},
            "network": {"eth0": eth0} if runs else None,
            "pid": 1000 + self.number if runs else 0,
            "processes": 7 if runs else -1,
            "started_at": now() if runs else "0001-01-01T00:00:00Z",
        }


class Instances:
    """All of one project. Work is done inside of operations, as Incus does it."""

    def __init__(self, project: str, operations: Operations, reachable: Any, images: Any) -> None:
        """`reachable(member)`: does it run?; `images`: by fingerprint."""
        self.project = project
        self._operations = operations
        self._reachable = reachable
        self._images = images
        self._all: dict[str, Instance] = {}
        self._numbers = itertools.count()

    def get(self, name: str) -> Instance:
        if name not in self._all:
            raise Failure(404, "Instance not found")
        return self._all[name]

    def here(self, name: str) -> Instance:
        """One whose member runs."""
        found = self.get(name)
        if not self._reachable(found.shown["location"]):
            raise Failure(503, "Server isn't ready yet")
        return found

    def list(self, recursion: int) -> list[Any]:
        if not recursion:
            return [f"/1.0/instances/{name}" for name in self._all]
        return [self.show(each, recursion) for each in self._all.values()]

    def show(self, instance: Instance, recursion: int) -> Json:
        shown = copy.deepcopy(instance.shown)
        shown |= {"expanded_config": shown["config"], "expanded_devices": shown["devices"]}
        reachable = self._reachable(shown["location"])
        if not reachable:  # as Incus 6.0 answers: without the configuration, and so its tags
            shown |= {"status": ERROR[0], "status_code": ERROR[1]}
            shown |= dict.fromkeys((*UNKNOWN, *(f"expanded_{each}" for each in UNKNOWN[:2])))
        if recursion == 2:
            shown["state"] = instance.state() if reachable else None
            shown["snapshots"] = list(instance.snapshots.values()) or None
        return shown

    # -- life -------------------------------------------------------------------------------------

    async def create(self, body: Json, member: str) -> None:
        await asyncio.sleep(0)
        name, source = body["name"], body.get("source") or {}
        if name in self._all:
            raise Failure(
                500, 'Failed creating instance record: Add instance info to the database: This '
                f'"instances" entry already exists ({name}: UNIQUE constraint)',
            )  # fmt: skip
        origin: Instance | None = None
        if source.get("type") == "image" and source.get("fingerprint") not in self._images:
            raise Failure(404, "Image not found")
        if source.get("type") == "copy":
            name_of, _, snapshot = str(source["source"]).partition("/")
            origin = self.here(name_of)
            if snapshot and snapshot not in origin.snapshots:
                raise Failure(404, "Instance snapshot not found")
        root = (body.get("devices") or {}).get("root") or {}
        if root.get("pool", "default") != "default":
            raise Failure(400, "Storage pool not found")
        number = next(self._numbers)
        shown = {
            "name": name,
            "type": body.get("type") or "container",
            "description": body.get("description", ""),
            "architecture": body.get("architecture", "x86_64"),
            "config": {"volatile.eth0.hwaddr": MAC.format(number), **(body.get("config") or {})},
            "devices": body.get("devices") or {},
            "profiles": ["default"] if body.get("profiles") is None else body["profiles"],
            "ephemeral": False,
            "stateful": False,
            "location": member,
            "project": self.project,
            "created_at": now(),
            "last_used_at": "1970-01-01T00:00:00Z",
        }
        made = self._all[name] = Instance(shown, number)
        made.set(STOPPED)
        if origin is not None:
            made.files = dict(origin.files)
        self._tell("created", made)

    async def change_state(self, instance: Instance, body: Json) -> None:
        action = body["action"]
        await asyncio.sleep(0)
        if action in ("start", "restart"):
            if action == "start" and instance.runs:
                raise Failure(400, "The instance is already running")
            instance.saved = False
            instance.shown["last_used_at"] = now()
            instance.set(RUN)
        elif action == "stop":
            if not instance.runs:
                raise Failure(400, "The instance is already stopped")
            instance.saved = bool(body.get("stateful"))
            instance.shown["stateful"] = instance.saved
            instance.set(STOPPED)
        else:
            instance.set(FROZEN if action == "freeze" else RUN)
        words = {"start": "started", "stop": "stopped", "restart": "restarted",
                 "freeze": "paused", "unfreeze": "resumed"}  # fmt: skip
        self._tell(words[action], instance)

    async def remove(self, instance: Instance) -> None:
        await asyncio.sleep(0)
        if instance.runs:
            raise Failure(400, "Instance is running")
        del self._all[instance.name]
        self._tell("deleted", instance)

    async def put(self, instance: Instance, body: Json) -> None:
        if "restore" in body:
            return await self.restore(instance, body["restore"])
        instance.shown |= {key: body[key] for key in KEPT_BY_PUT if key in body}
        self._tell("updated", instance)

    def patch(self, instance: Instance, body: Json) -> None:
        for key in KEPT_BY_PUT:
            if key in ("config", "devices"):
                instance.shown[key] = instance.shown[key] | body.get(key, {})
            elif key in body:
                instance.shown[key] = body[key]
        self._tell("updated", instance)

    async def rename(self, instance: Instance, name: str) -> None:
        if name in self._all:
            raise Failure(500, f'Name "{name}" already in use')
        if instance.runs:
            raise Failure(400, "Renaming of running instance not allowed")
        del self._all[instance.name]
        instance.shown["name"] = name
        self._all[name] = instance
        self._tell("renamed", instance)

    async def move(self, instance: Instance, member: str) -> None:
        if instance.runs and instance.shown["type"] == "container":
            raise Failure(500, "Instance must be stopped to be moved statelessly")
        instance.shown["location"] = member
        self._tell("migrated", instance)

    # -- snapshots --------------------------------------------------------------------------------

    async def take_snapshot(self, instance: Instance, body: Json) -> None:
        name = body["name"]
        if name in instance.snapshots:
            raise Failure(409, f'Snapshot "{name}" already in use')
        instance.snapshots[name] = {
            "name": name,
            "created_at": now(),
            "stateful": bool(body.get("stateful")),
            "description": "",
            "config": dict(instance.shown["config"]),
            "devices": copy.deepcopy(instance.shown["devices"]),
            "size": 1 << 20,
        }
        instance.files |= {f"{name}\0{path}": each for path, each in instance.files.items()
                           if "\0" not in path}  # fmt: skip
        self._tell("snapshot-created", instance, name)

    def snapshot(self, instance: Instance, name: str) -> Json:
        if name not in instance.snapshots:
            raise Failure(404, "Instance snapshot not found")
        return instance.snapshots[name]

    async def restore(self, instance: Instance, name: str) -> None:
        self.snapshot(instance, name)
        kept = {path: each for path, each in instance.files.items() if "\0" in path}
        then = {path.removeprefix(f"{name}\0"): each for path, each in kept.items()
                if path.startswith(f"{name}\0")}  # fmt: skip
        instance.files = kept | then
        self._tell("restored", instance)

    async def drop_snapshot(self, instance: Instance, name: str) -> None:
        self.snapshot(instance, name)
        del instance.snapshots[name]
        self._tell("snapshot-deleted", instance, name)

    # -- files ------------------------------------------------------------------------------------

    def push(self, instance: Instance, path: str, headers: Mapping[str, str], data: bytes) -> None:
        parent = instance.files.get(path.rstrip("/").rpartition("/")[0] or "/")
        if parent is None or parent.kind != "directory":
            raise Failure(404, "file does not exist")
        kind = headers.get("X-Incus-type", "file")
        uid, gid = int(headers.get("X-Incus-uid", 0)), int(headers.get("X-Incus-gid", 0))
        mode = int(headers.get("X-Incus-mode", "0644"), 8)
        if kind == "directory" and path in instance.files:
            return
        instance.files[path] = File(kind, data, uid, gid, mode)

    def pull(self, instance: Instance, path: str) -> File:
        if path not in instance.files:
            raise Failure(404, "file does not exist")
        return instance.files[path]

    def _tell(self, word: str, instance: Instance, snapshot: str = "") -> None:
        source = f"/1.0/instances/{instance.name}"
        if snapshot:
            source += f"/snapshots/{snapshot}"
        action = f"instance-{word}"
        self._operations.lifecycle(self.project, action, source, instance.shown["location"])


Work = tuple[Operation, Instance]
