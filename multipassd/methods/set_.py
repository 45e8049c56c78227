"""`set`: change one setting; it counts at once, without a restart."""

from __future__ import annotations

import asyncio

from multipassd import limits
from multipassd.call import Call
from multipassd.daemon import Daemon
from protocol.errors import InvalidSetting
from protocol.messages.access import SetReply, SetRequest
from protocol.settings import PASSPHRASE


async def run(call: Call[SetRequest], daemon: Daemon) -> None:
    key, value = call.request.key, call.request.val
    if key == PASSPHRASE and value:
        if len(value.encode()) > limits.PASSPHRASE:
            raise InvalidSetting(key, "…", f"more than {limits.PASSPHRASE} bytes")
        value = await daemon.verifier.make(value)
    await asyncio.to_thread(daemon.settings.set, key, value)
    daemon.audit.changed(key, call.peer.uid, call.peer.fingerprint)
    call.reply(SetReply())
