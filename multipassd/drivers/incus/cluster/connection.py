"""The cluster that this daemon has joined, if it has: the client of its API, and the view of it.

Opened when it is first needed, and anew after `multipass set local.incus.token` has joined another.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from multipassd.drivers.incus.api import membership
from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError
from multipassd.drivers.incus.api.membership import Membership
from multipassd.drivers.incus.cluster.view import View
from multipassd.drivers.incus.cluster.watch import Watch

FIRST_ANSWER_SECONDS = 30.0  # for the first listing; then it is as if the cluster did not answer
NOT_JOINED = (
    "This service has joined no Incus cluster yet. On a member `incus config trust add NAME "
    "--restricted --projects PROJECT` prints a token, which `multipass set local.incus.token` asks "
    "for."
)


class NotJoined(IncusError):
    """No cluster was joined."""


class Cluster:
    """One at a time. `directory`: of the membership."""

    def __init__(self, directory: Path) -> None:
        self.view = View()
        self.daemon = ""  # the id in the owner tags of what this daemon makes
        self._directory = directory
        self._stamp: tuple[int, int] | None = None
        self._api: Api | None = None
        self._watch: Watch | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begin to follow it. Never fails: what is wrong is why it is unreachable."""
        try:
            self._open()
        except IncusError as error:
            self.view.lost(error.message)

    async def api(self, seconds: float) -> Api:
        """Once it was listed, or the time is over. Raises IncusError where none was joined."""
        api, watch = self._open()
        await watch.settled(seconds)
        return api

    async def watch(self) -> Watch:
        """The same for what keeps the view. Raises IncusError."""
        _, watch = self._open()
        await watch.settled(FIRST_ANSWER_SECONDS)
        return watch

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._api is not None:
            task = asyncio.get_running_loop().create_task(self._api.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._api = self._watch = self._stamp = None

    def _open(self) -> tuple[Api, Watch]:
        stamp = self._read_stamp()
        if self._api is not None and self._watch is not None and stamp == self._stamp:
            return self._api, self._watch
        known = membership.read(self._directory)
        if known is None:
            self.close()
            raise NotJoined(NOT_JOINED)
        if self._api is None or self._watch is None or not _is_same(known, self._api.membership):
            self.close()
            membership.discard_former(self._directory)
            self._api, self.daemon = Api(known, self._directory), known.daemon
            self._watch = Watch(self._api, self.view, self.open)
            self._watch.start()
        self._stamp = stamp
        return self._api, self._watch

    def _read_stamp(self) -> tuple[int, int] | None:
        """Of the file that a join replaces."""
        try:
            status = os.stat(membership.file(self._directory))
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns


def _is_same(known: Membership, other: Membership) -> bool:
    """Do they differ in the members' addresses at most?"""
    return known.replace(addresses=()) == other.replace(addresses=())
