"""Log records of a call, streamed to its caller."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from multipassd.rpc.call import CURRENT
from multipassd.system import log


class CallerLog(logging.Handler):
    """Streams a record to the caller whose call it belongs to, if that caller may see it."""

    def emit(self, record: logging.LogRecord) -> None:
        call = CURRENT.get()
        if threading.current_thread() is not threading.main_thread():
            return  # a worker inherits the call, but the connection belongs to the event loop
        if call is None or call.verbosity < 0 or not hasattr(call.request, "verbosity_level"):
            return
        if record.levelno >= log.BY_VERBOSITY[call.verbosity]:
            with suppress(Exception):  # a caller who went away must not break the log
                call.log_line(log.line(record) + "\n")
