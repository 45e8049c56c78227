"""What services of one project publish of their instances, in a config key of each."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping

from multipassd.drivers.incus import disks, requests
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import BadAnswer
from multipassd.drivers.incus.api.execution import run
from multipassd.drivers.incus.cluster import owner_tag
from multipassd.drivers.incus.cluster.connection import Cluster
from multipassd.drivers.incus.cluster.entry import VIRTUAL_MACHINE
from multipassd.drivers.interface import NotOnBackend
from multipassd.drivers.shared_machines import Offer

CHANGE_SECONDS, RUN_SECONDS = 60.0, 15.0
MAX_SEED_FILE = 1 << 20  # bytes
MAX_OUTPUT = 4096
# The file is replaced as a whole, with its owner and mode; a link of the guest's leads nowhere else
# than within the guest.
ADD_LINE = """
set -e
user={user}
home=$(getent passwd "$user" 2>/dev/null | cut -d: -f6) || true
[ -n "$home" ] || home=$(grep "^$user:" /etc/passwd | cut -d: -f6)
file="$home/.ssh/authorized_keys"
[ -f "$file" ] || exit 3
grep -qxF {line} "$file" && exit 0
cp -p "$file" "$file.multipass"
printf '%s\\n' {line} >>"$file.multipass"
mv "$file.multipass" "$file"
"""


class ClusterSharing:
    """The instances of the project that have the key."""

    def __init__(
        self,
        cluster: Cluster,
        api: Callable[[], Awaitable[Api]],
        enabled: Callable[[], bool],
    ) -> None:
        self._cluster = cluster
        self._api = api
        self.enabled = enabled

    def offers(self) -> Mapping[str, Offer] | None:
        view = self._cluster.view
        if view.unreachable or not view.listed:
            return None
        own = self._cluster.daemon
        return {
            each.name: Offer(each.daemon, each.record.encode())
            for each in view.entries.values()
            if not each.known or (each.record and each.daemon not in ("", own))
        }

    def published(self, name: str, service: str) -> bytes | None:
        view = self._cluster.view
        entry = view.entries.get(name)
        if view.unreachable or entry is None or not entry.known:
            return None
        if entry.daemon != (service or self._cluster.daemon):
            return None
        return entry.record.encode()

    async def publish(self, name: str, text: bytes) -> None:
        body = {"config": {owner_tag.RECORD: text.decode()}}
        what = f"publish what is known of {name}"
        api = await self._api()
        await api.operate("PATCH", disks.instance(name), body, seconds=CHANGE_SECONDS, what=what)
        await (await self._cluster.watch()).fresh(name)

    async def seed_of(self, name: str) -> Mapping[str, bytes]:
        api = await self._api()
        entry = self._cluster.view.entries.get(name)
        if entry is not None and entry.kind == VIRTUAL_MACHINE:
            found = await api.get(disks.instance(name), what=f"read the seed of {name}")
            return requests.files_of_config(found.get("config", {}))
        files = {}
        for file in requests.SEED_NAMES:
            path = f"{requests.SEED_PLACE}/{file}"
            files[file] = (await api.pull_file(name, path, MAX_SEED_FILE)).data
        return files

    async def let_in(self, name: str, user: str, line: str) -> None:
        entry = self._cluster.view.entries.get(name)
        if entry is not None and entry.kind == VIRTUAL_MACHINE:
            raise NotOnBackend("exec")  # it would need an agent in the guest
        script = ADD_LINE.format(user=shlex.quote(user), line=shlex.quote(line))
        command = ("/bin/sh", "-c", script)
        code, _ = await run(await self._api(), name, command, RUN_SECONDS, MAX_OUTPUT)
        if code:
            raise BadAnswer(f"{name} does not let this service in: its shell ended with {code}.")
