"""`move`: bring an instance to another host of the cluster that the driver's machines are on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from weakref import WeakValueDictionary

from multipassd.instances import placing
from multipassd.rpc.call import Call
from multipassd.rpc.context import Daemon
from protocol.messages.cluster import MoveReply, MoveRequest

AT_ONCE = 2  # of one person: each copies a disk and its snapshots between two hosts

_turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()


async def move(call: Call[MoveRequest], daemon: Daemon) -> None:
    """It goes on when the caller disconnects: an instance is on one host or the other."""
    member, driver = call.request.member, daemon.instances.driver
    instance = call.instances.get_live(call.request.instance_name)
    await placing.check_move(instance, driver, member)
    person = call.standing.name or call.peer.person
    turn = _turns.setdefault(person, asyncio.Semaphore(AT_ONCE))
    await turn.acquire()  # who disconnects before that leaves nothing behind
    moving = _ending(turn, placing.move(instance, driver, member))
    if not await daemon.tasks.complete(moving):
        call.deed.whole.had_nothing_to_do()
    call.reply(MoveReply())


async def _ending(turn: asyncio.Semaphore, work: Awaitable[bool]) -> bool:
    try:
        return await work
    finally:
        turn.release()
