"""Log records: their form, their way to the journal, and who of the callers sees them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.instances.collection import Instances
from multipassd.rpc.call import CURRENT, Call
from multipassd.rpc.caller_log import CallerLog
from multipassd.system import log
from protocol import grpc
from protocol.errors import TooLarge
from protocol.messages.access import PingRequest
from protocol.messages.listing import ListReply, ListRequest
from protocol.methods import BY_PATH
from protocol.roles import Role

LIST, PING = BY_PATH[grpc.path("list")], BY_PATH[grpc.path("ping")]
LINE = re.compile(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\] \[warning\] \[part\] a sentence\n")
logger = log.get("part")


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    own = logging.getLogger(log.ROOT)
    before = own.handlers, own.propagate, own.level, logging.raiseExceptions
    log.configure("stderr", "info")
    log.add_handler(CallerLog())
    yield
    own.handlers, own.propagate, own.level, logging.raiseExceptions = before


class Replies:
    def __init__(self, error: Exception | None = None) -> None:
        self.lines: list[str] = []
        self._error = error

    def send(self, payload: bytes) -> None:
        if self._error:
            raise self._error
        self.lines.append(ListReply.decode(payload).log_line)

    async def drained(self) -> None:
        pass

    async def next_message(self, seconds: float) -> bytes | None:
        return None

    async def further(self) -> bytes | None:
        return None


def serving(replies: Replies, trusted: bool, request: Any) -> None:
    method = LIST if isinstance(request, ListRequest) else PING
    CURRENT.set(
        Call(
            method,
            Peer(None, b"", ""),
            request,
            replies,
            Standing(Role.ADMIN if trusted else None),
            lambda: cast(Instances, None),  # not asked for
        )
    )


@pytest.fixture(autouse=True)
def no_call() -> Iterator[None]:
    yield
    CURRENT.set(None)


def emit_all() -> None:
    call = CURRENT.get()
    with log.attention(call.verbosity if call else 0):
        _emit_all()


def _emit_all() -> None:
    logger.log(log.TRACE, "a trace")
    logger.debug("a detail")
    logger.info("a note")
    logger.warning("a sentence")
    logger.error("a fault")


@pytest.mark.parametrize(("verbosity", "count"), [(-5, 1), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5),
                                                  (2_000_000_000, 5)])  # fmt: skip
def test_a_trusted_caller_sees_what_it_asks_for(verbosity: int, count: int) -> None:
    replies = Replies()
    serving(replies, True, ListRequest(verbosity_level=verbosity))
    emit_all()
    assert len(replies.lines) == count


def test_a_line_is_in_multipass_form() -> None:
    replies = Replies()
    serving(replies, True, ListRequest(verbosity_level=1))
    logger.warning("a %s", "sentence")
    assert LINE.fullmatch(replies.lines[0])


def test_an_untrusted_caller_sees_nothing() -> None:
    replies = Replies()
    serving(replies, False, ListRequest(verbosity_level=4))
    emit_all()
    assert replies.lines == []


def test_a_call_whose_reply_has_no_log_line_gets_none() -> None:
    replies = Replies()
    serving(replies, True, PingRequest())
    emit_all()
    assert replies.lines == []


def test_a_caller_who_went_away_does_not_break_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    serving(Replies(TooLarge("full")), True, ListRequest(verbosity_level=4))
    emit_all()
    assert "a fault" in capsys.readouterr().err


def test_a_worker_thread_does_not_touch_the_connection() -> None:
    replies = Replies()

    async def work() -> None:
        serving(replies, True, ListRequest(verbosity_level=4))
        await asyncio.to_thread(emit_all)

    asyncio.run(work())
    assert replies.lines == []


def test_stderr_shows_the_asked_level_and_the_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit_all()
    try:
        raise ValueError("deep down")
    except ValueError:
        logger.exception("it failed")
    text = capsys.readouterr().err
    assert "a detail" not in text and "[info] [part] a note\n" in text
    assert "Traceback" in text and "deep down" in text


def test_a_closed_stderr_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stderr", Gone())
    emit_all()


def test_the_journal_gets_fields_priority_and_message_id() -> None:
    sent: list[tuple[str, dict[str, str]]] = []
    handler = log._JournalHandler(lambda text, **fields: sent.append((text, fields)))
    logging.getLogger(log.ROOT).handlers = [handler]
    logger.warning("seen", extra={"fields": {"MULTIPASS_UID": "7"}, "message_id": "ab" * 16})
    assert sent == [
        (
            "seen",
            {
                "PRIORITY": "4",
                "SYSLOG_IDENTIFIER": "multipassd",
                "MULTIPASS_UID": "7",
                "MESSAGE_ID": "ab" * 16,
                "MULTIPASS_CATEGORY": "part",
            },
        )
    ]


def test_a_program_about_another_unit_says_so_in_each_record() -> None:
    sent: list[dict[str, str]] = []
    about = {"SYSLOG_IDENTIFIER": "multipass-trust", "OBJECT_SYSTEMD_UNIT": "multipassd.service"}
    handler = log._JournalHandler(lambda text, **fields: sent.append(fields), about)
    logging.getLogger(log.ROOT).handlers = [handler]
    logger.warning("seen")
    assert about.items() <= sent[0].items()


def test_a_journal_that_is_being_restarted_is_no_error() -> None:
    def send(text: str, **fields: str) -> None:
        raise ConnectionRefusedError

    logging.getLogger(log.ROOT).handlers = [log._JournalHandler(send)]
    logger.error("lost")


def test_a_path_of_undecodable_bytes_reaches_the_journal_escaped() -> None:
    sent: list[bytes] = []

    def send(text: str, **fields: str) -> None:  # strict, as python-systemd is
        sent.extend(each.encode() for each in (text, fields["MULTIPASS_PATH"]))

    logging.getLogger(log.ROOT).handlers = [log._JournalHandler(send)]
    path = b"/srv/\xff".decode("utf-8", "surrogateescape")
    logger.warning("%s is missing", path, extra={"fields": {"MULTIPASS_PATH": path}})
    assert sent == [b"/srv/\\udcff is missing", b"/srv/\\udcff"]


def test_records_nobody_looks_at_are_not_even_made() -> None:
    assert not logger.isEnabledFor(logging.DEBUG)
    with log.attention(3), log.attention(4):
        assert logger.isEnabledFor(log.TRACE)
    assert not logger.isEnabledFor(logging.DEBUG)


def test_audit_records_are_written_at_every_verbosity(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("stderr", "error")
    log.add_handler(CallerLog())
    log.get("audit").info("trusts somebody")
    logger.info("a note")
    written = capsys.readouterr().err
    assert "trusts somebody" in written and "a note" not in written
