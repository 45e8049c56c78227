"""Keeps the view of the cluster true: one listing, then events, and a listing after each time that
the connection was lost, as Incus repeats no event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.api.errors import (
    IncusError,
    NotFound,
    TookTooLong,
    Unreachable,
    bad_answer,
    shown,
)
from multipassd.drivers.incus.api.events import CONNECTED, Event, events
from multipassd.drivers.incus.cluster.entry import RUNNING, Entry, entry_of
from multipassd.drivers.incus.cluster.view import ONLINE, View
from multipassd.system import log
from protocol.errors import StorageFailed
from protocol.names import valid, valid_member

LIST_AFTER = 1.0  # seconds that more changes may come in
LIST_SECONDS = 30.0  # a cluster whose leader has died answers slowly for as long
LOOK_SECONDS = 20.0  # for one instance
MEMBERS_INTERVAL = 10.0  # no event says that a member is down
RETRY_SECONDS, RETRY_MOST = 1.0, 15.0  # between attempts to connect
LOOKS_AT_ONCE = 6  # requests for single instances; more would keep others' waiting
# A guest has its address some time after its start, and no event says so.
ADDRESS_FIRST, ADDRESS_MOST, ADDRESS_WITHIN = 0.3, 5.0, 300.0
MAX_STATUS = 20  # letters of a member's
# Single instances that are to be looked at; above it all are listed, which costs less.
MOST_LOOKS = 100
REBOOTS = {"instance-restarted"}
RENAMES = {"instance-renamed"}  # of which the event names what there is by now alone

_log = log.get("incus")


class Watch:
    """One task that follows the cluster, and those that look at single instances."""

    def __init__(self, api: Api, view: View, reopen: Callable[[], None]) -> None:
        """`reopen` is called each time that the cluster was lost: this service may have joined
        another by now, or with another certificate, and then this watch is closed."""
        self._reopen = reopen
        self._api = api
        self._view = view
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: set[str] = set()  # of which a look is under way or waits
        self._again: set[str] = set()  # of those, what has changed since the look began
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._to_list = False  # a listing is about to begin
        self._known = asyncio.Event()  # it was listed, or can't be

    def start(self) -> None:
        self._spawn(self._follow())

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def settled(self, seconds: float) -> None:
        """Until the first attempt to list has ended, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._known.wait()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the whole cluster ------------------------------------------------------------------------

    async def _follow(self) -> None:
        pause = RETRY_SECONDS
        while True:
            why = await self._until_lost()
            if not self._view.unreachable or not self._known.is_set():
                _log.warning("the Incus cluster is not reached: %s", why)
                pause = RETRY_SECONDS
            self._view.lost(why)
            self._known.set()
            self._reopen()
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_MOST)

    async def _until_lost(self) -> str:
        """Follow the cluster until it is not reached any more, and why that is."""
        loop = asyncio.get_running_loop()
        ways = {loop.create_task(self._receive()), loop.create_task(self._poll_members())}
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            return "it has ended the connection for events"
        except IncusError as error:
            return error.message
        except Exception:  # also after an answer that nothing expects it is asked again
            _log.exception("the Incus cluster could not be followed")
            return "an answer of it could not be read"
        finally:
            for task in ways:
                task.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _receive(self) -> None:
        """Raises IncusError."""
        async with aclosing(events(self._api)) as stream:
            async for event in stream:
                if event.kind == CONNECTED:
                    await self._list()
                else:
                    self._note(event)

    async def _poll_members(self) -> None:
        """Raises IncusError."""
        while True:
            await asyncio.sleep(MEMBERS_INTERVAL)
            if not self._view.unreachable and await self._read_members() != self._view.members:
                await self._list()

    async def _list(self) -> None:
        """Raises IncusError."""
        members = await self._read_members()
        items = await self._read_all()
        if self._view.unreachable:
            _log.info("the Incus cluster is reached: %d instances", len(items))
        entries = [each for each in map(entry_of, items) if each is not None]
        if len(entries) < len(items):
            raise bad_answer("list instances", "some of them have no name")
        self._view.listed_all(entries, members)
        self._spawn(self._keep_addresses())
        self._known.set()
        for entry in list(filter(_lacks_address, entries))[:MOST_LOOKS]:
            self.look(entry.name)

    async def _read_all(self) -> list[dict[str, Any]]:
        """Raises IncusError. One guest whose state can't be told must not hide all others: then
        they are listed without their states, which single looks add."""
        path = "/1.0/instances"
        try:
            return await self._api.listing(path, seconds=LIST_SECONDS, recursion="2")
        except TookTooLong:
            return await self._api.listing(path, seconds=LIST_SECONDS, recursion="1")

    async def _keep_addresses(self) -> None:
        """For the next connection, which may not find those that answer now."""
        try:
            await self._api.refresh_addresses()
        except (IncusError, StorageFailed) as error:
            _log.info("the addresses of the cluster's members stay as known: %s", error.message)

    async def _read_members(self) -> Mapping[str, str]:
        """By name; none of a server that is no cluster. Raises IncusError."""
        listed = await self._api.members(seconds=LOOK_SECONDS)
        found = {
            str(each.get("server_name")): shown(each.get("status"), MAX_STATUS)
            for each in listed
            if valid_member(str(each.get("server_name")))
        }
        if found and ONLINE not in found.values():
            # So it says for some seconds after a new leader was elected, of the one that says it.
            raise Unreachable("All members of the Incus cluster are said to be offline.")
        return found

    # -- single instances -------------------------------------------------------------------------

    def _note(self, event: Event) -> None:
        if event.kind != "lifecycle" or not valid(event.name):
            return  # of something else, or of a name that no instance can have
        if event.action in REBOOTS:
            self._view.rebooted(event.name)
        if event.action in RENAMES:
            self._list_soon()
        self.look(event.name)

    def look(self, name: str) -> None:
        """Ask for one instance soon; once for all that happens to it until then."""
        if name in self._looking:
            self._again.add(name)
        elif len(self._looking) >= MOST_LOOKS:
            self._list_soon()
        else:
            self._looking.add(name)
            self._spawn(self._look(name))

    def _list_soon(self) -> None:
        """In place of many looks; once for all that happens until it begins."""
        if not self._to_list:
            self._to_list = True
            self._spawn(self._list_late())

    async def _list_late(self) -> None:
        await asyncio.sleep(LIST_AFTER)
        self._to_list = False
        try:
            await self._list()
        except IncusError as error:
            _log.info("the instances are not known better: %s", error.message)

    async def _look(self, name: str) -> None:
        """Until it has an address, if it is to have one."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + ADDRESS_WITHIN, ADDRESS_FIRST
        try:
            while True:
                self._again.discard(name)
                async with self._turns:
                    entry = await self._read(name)
                if name in self._again:
                    end, pause = loop.time() + ADDRESS_WITHIN, ADDRESS_FIRST
                elif entry is None or not _lacks_address(entry) or loop.time() > end:
                    break
                else:
                    await asyncio.sleep(pause)
                    pause = min(1.5 * pause, ADDRESS_MOST)
        finally:
            self._looking.discard(name)

    async def _read(self, name: str) -> Entry | None:
        try:
            return await self.fresh(name)
        except IncusError as error:
            _log.info("%s is not known better: %s", name, error.message)
            return None

    async def fresh(self, name: str) -> Entry | None:
        """As it is now; None where there is none. Raises IncusError."""
        try:
            path = f"/1.0/instances/{name_in_path(name)}"
            found = await self._api.get(path, seconds=LOOK_SECONDS, recursion="1")
        except NotFound:
            self._view.remove(name)
            return None
        entry = entry_of(found)
        if entry is not None:
            self._view.put(entry)
        return entry


def _lacks_address(entry: Entry) -> bool:
    return entry.status == RUNNING and bool(entry.cards) and not entry.addresses
