"""The log: to the journal or to stderr; other destinations are added by `add_handler`.

Levels are Multipass's: error, warning, info, debug, trace. A record's `fields` (a dict of
journal fields) and `message_id` reach the journal as they are; other places show the sentence.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import ClassVar

from multipassd.system import journal

TRACE = 5
LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
BY_VERBOSITY = tuple(LEVELS.values())  # a client's -v, -vv ... as an index
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # syslog's
_DEBUG_PRIORITY = 7

ROOT = "multipassd"
AUDIT = f"{ROOT}.audit"


def get(category: str) -> logging.Logger:
    return logging.getLogger(f"{ROOT}.{category}")


def configure(destination: str, level: str, always: Mapping[str, str] | None = None) -> None:
    """`destination` is `platform` (the journal; stderr where there is none) or `stderr`. The
    journal gets the fields `always` with each record."""
    logging.addLevelName(TRACE, "TRACE")
    logging.raiseExceptions = False  # a full journal is no reason to print a traceback
    logger = logging.getLogger(ROOT)
    logger.propagate = False
    handler = _platform(always) if destination == "platform" else _StderrHandler()
    handler.addFilter(lambda record: record.levelno >= LEVELS[level] or record.name == AUDIT)
    logger.handlers = [handler]
    logging.getLogger(AUDIT).setLevel(logging.INFO)  # a record each, always
    _Attention.base = LEVELS[level]
    _Attention.apply()


def audit_to_journal(always: Mapping[str, str]) -> None:
    """The audit trail goes to the journal alone, and nowhere if there is none: for a program that
    tells its user all of it itself."""
    send = journal.sender()
    logger = logging.getLogger(AUDIT)
    logger.handlers = [_JournalHandler(send, always) if send else logging.NullHandler()]
    logger.propagate = False


def add_handler(handler: logging.Handler) -> None:
    """Another destination for every record, besides the one that `configure` has set."""
    logging.getLogger(ROOT).addHandler(handler)


class _Attention:
    """The lowest level that the log or a caller wants: records below it are not even made."""

    base = logging.INFO
    callers: ClassVar[Counter[int]] = Counter()  # levels that calls under way asked for

    @classmethod
    def apply(cls) -> None:
        logging.getLogger(ROOT).setLevel(min((cls.base, *cls.callers)))


@contextmanager
def attention(verbosity: int) -> Iterator[None]:
    """While a call is served that is to see its own log lines; free for the common verbosity 0."""
    level = BY_VERBOSITY[max(verbosity, 0)]
    if level >= _Attention.base:
        yield
        return
    _Attention.callers[level] += 1
    _Attention.apply()
    try:
        yield
    finally:
        _Attention.callers[level] -= 1
        _Attention.callers += Counter()  # drops those at zero
        _Attention.apply()


def line(record: logging.LogRecord) -> str:
    """`[2026-05-19T17:12:47.123] [warning] [category] text`, local time, as Multipass writes it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(record.created))
    category = record.name.removeprefix(ROOT + ".")
    text = record.getMessage()
    return f"[{stamp}.{int(record.msecs):03}] [{record.levelname.lower()}] [{category}] {text}"


class _StderrHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = self._text(record)
        if record.exc_info:
            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        try:
            sys.stderr.write(self._framed(text, record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # the reader of stderr is gone

    def _text(self, record: logging.LogRecord) -> str:
        return line(record)

    def _framed(self, text: str, record: logging.LogRecord) -> str:
        return text


class _StreamHandler(_StderrHandler):
    """A stderr that leads to the journal, which adds the time itself: each line is a record there
    and begins with its priority (sd-daemon(3))."""

    def _text(self, record: logging.LogRecord) -> str:
        return f"[{record.name.removeprefix(ROOT + '.')}] {record.getMessage()}"

    def _framed(self, text: str, record: logging.LogRecord) -> str:
        mark = f"<{_priority(record.levelno)}>"
        return mark + text.replace("\n", "\n" + mark)


class _JournalHandler(logging.Handler):
    def __init__(self, send: journal.Send, always: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._send = send
        self._always = {"SYSLOG_IDENTIFIER": "multipassd", **(always or {})}

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, journal.Values] = dict(getattr(record, "fields", {}))
        if message_id := getattr(record, "message_id", None):
            fields["MESSAGE_ID"] = message_id
        if record.exc_info:
            fields["EXCEPTION"] = "".join(traceback.format_exception(*record.exc_info))
        fields["MULTIPASS_CATEGORY"] = record.name.removeprefix(ROOT + ".")
        with suppress(OSError):  # journald is being restarted: the socket comes back
            self._send(
                _encodable(record.getMessage()),
                PRIORITY=str(_priority(record.levelno)),
                **self._always,
                **{name: _encodable_values(value) for name, value in fields.items()},
            )


def _encodable(text: str) -> str:
    """A path of undecodable bytes must not make python-systemd fail, and its caller."""
    return text.encode("utf-8", "backslashreplace").decode()


def _encodable_values(values: journal.Values) -> journal.Values:
    return _encodable(values) if isinstance(values, str) else tuple(map(_encodable, values))


def _priority(level: int) -> int:
    return next((value for floor, value in _PRIORITIES if level >= floor), _DEBUG_PRIORITY)


def _platform(always: Mapping[str, str] | None) -> logging.Handler:
    if send := journal.sender():
        return _JournalHandler(send, always)
    return _StreamHandler() if journal.on_stderr() else _StderrHandler()
