"""A guest's clock, which stands still while the guest is paused: set once the guest goes on."""

from __future__ import annotations

import time

from multipassd.instances.attachments.attachment import Attachment, Execute
from multipassd.instances.states.errors import GuestSilent
from multipassd.system import log
from protocol.errors import RpcError

SECONDS = 30.0  # for setting it; logging in to an emulated guest takes long
BEHIND = 2  # seconds; less is the time that asking takes
TRUSTED = 60  # seconds that the guest's hardware clock may differ from the host's time

_log = log.get("instances")

# The hardware clock is the host's and did not stop, so it is right however long the log-in took. If
# the guest keeps it in local time, or has none, the host's time is taken, which is late by the
# log-in. A clock that is right or ahead is left alone: it may be ahead on purpose.
SET = """
now={host}
rtc=$(cat /sys/class/rtc/rtc0/since_epoch 2>/dev/null)
off=$(( ${{rtc:-0}} - now ))
[ "${{off#-}}" -le {trusted} ] && now=$rtc
[ $(( now - $(date +%s) )) -lt {behind} ] || sudo date -u -s "@$now" </dev/null
"""


class GuestClock(Attachment):
    """Sets the clock of one guest after a pause, if it is behind."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def after_pause(self, execute: Execute) -> None:
        """A failure is only logged: the guest may synchronise its clock itself."""
        command = SET.format(host=int(time.time()), trusted=TRUSTED, behind=BEHIND)
        try:
            await execute(command, SECONDS)
        except (GuestSilent, RpcError) as error:
            why = "the clock of %s may be behind by the time that it stood still: %s"
            _log.warning(why, self._name, error)
