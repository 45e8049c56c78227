"""A stop that is scheduled for later (`stop --time`): kept in the record until it is done."""

from __future__ import annotations

import shlex
import time

from multipassd.instances.attachments.attachment import Attachment, Fields
from multipassd.instances.records.stored_record import StoredRecord


class DelayedStop(Attachment):
    """The scheduled stop of one instance. Any start and any end of the machine cancel it."""

    def __init__(self, record: StoredRecord) -> None:
        self._record = record

    def schedule(self, minutes: int) -> str:
        """Returns the command that announces it to who is logged in. Raises StorageFailed."""
        self._record.change(stop_at=time.time() + 60 * minutes)
        text = f"The system is going down for poweroff in {minutes} minutes"
        return f"wall {shlex.quote(text)}"

    def cancel(self) -> None:
        """Raises StorageFailed."""
        if self._record.record.stop_at:
            self._record.change(stop_at=0.0)

    def within(self, seconds: float) -> bool:
        """Is it due in this time?"""
        stop_at = self._record.record.stop_at
        return bool(stop_at) and stop_at - time.time() < seconds

    def fields_at_start(self) -> Fields:
        return {"stop_at": 0.0}

    def fields_at_end(self) -> Fields:
        return {"stop_at": 0.0}
