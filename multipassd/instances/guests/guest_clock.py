"""A guest's clock, which stands still while its guest does: set once the guest goes on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from multipassd.instances.guests.guest_ssh import GuestSilent
from multipassd.system import log
from protocol.errors import RpcError

SECONDS = 30.0  # to set it in; an emulated guest takes its time to let anybody in
BEHIND = 2  # seconds; less is the time that asking takes
TRUSTED = 60  # seconds that the guest's hardware clock may differ from the host's time

_log = log.get("instances")

# The hardware clock is the host's and has gone on, so it is right however long the log-in took. One
# that its guest keeps in local time, or has none, is not taken: then the host's time is, which is
# late by the log-in. A clock that is right, or ahead, as somebody may want it, is left alone.
SET = """
now={host}
rtc=$(cat /sys/class/rtc/rtc0/since_epoch 2>/dev/null)
off=$(( ${{rtc:-0}} - now ))
[ "${{off#-}}" -le {trusted} ] && now=$rtc
[ $(( now - $(date +%s) )) -lt {behind} ] || sudo date -u -s "@$now" </dev/null
"""


async def put_right(name: str, execute: Callable[[str, float], Awaitable[str]]) -> None:
    """Set it, if it is behind. Never fails: the guest may have a way of its own, and the log has
    what was tried. `execute` runs a command in the guest, as `Answering` wants it."""
    command = SET.format(host=int(time.time()), trusted=TRUSTED, behind=BEHIND)
    try:
        await execute(command, SECONDS)
    except (GuestSilent, RpcError) as error:
        why = "the clock of %s may be behind by the time that it stood still: %s"
        _log.warning(why, name, error)
