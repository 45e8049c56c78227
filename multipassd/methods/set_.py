"""`set`: change one setting; the daemon's count at once, an instance's from its next start."""

from __future__ import annotations

import asyncio

from multipassd import limits
from multipassd.call import Call
from multipassd.daemon import Daemon
from multipassd.instances import settings as of_instances
from protocol.errors import InvalidSetting
from protocol.messages.access import SetReply, SetRequest
from protocol.settings import BRIDGED_NETWORK, PASSPHRASE


async def run(call: Call[SetRequest], daemon: Daemon) -> None:
    key, value = call.request.key, call.request.val
    if of_instance := of_instances.read_key(key):
        network = daemon.settings.get(BRIDGED_NETWORK)
        await of_instances.change(daemon.instances, of_instance, value, network)
    else:
        await _set(daemon, key, value)
    daemon.audit.changed(key, call.peer.uid, call.peer.fingerprint)
    call.reply(SetReply())


async def _set(daemon: Daemon, key: str, value: str) -> None:
    if key == PASSPHRASE and value:
        if len(value.encode()) > limits.PASSPHRASE:
            raise InvalidSetting(key, "…", f"more than {limits.PASSPHRASE} bytes")
        value = await daemon.verifier.make(value)
    await asyncio.to_thread(daemon.settings.set, key, value)
