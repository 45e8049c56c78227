"""The audit trail: what is always recorded, and what can't flood it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.auth import audit
from multipassd.auth.audit import Audit
from multipassd.system import log

CLIENT = "ab" * 32


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]

    @property
    def fields(self) -> list[dict[str, Any]]:
        return [record.__dict__["fields"] for record in self.records]


@pytest.fixture
def records() -> Iterator[Records]:
    handler, logger = Records(), log.get("audit")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_each_grant_removal_and_change_is_a_record_with_fields(records: Records) -> None:
    trail = Audit()
    trail.granted(CLIENT, 1000, "first client")
    trail.removed(CLIENT, None)
    trail.changed("local.driver", 0, CLIENT)
    assert [each["MULTIPASS_EVENT"] for each in records.fields] == ["granted", "removed", "changed"]
    assert records.fields[0]["MULTIPASS_UID"] == "1000"
    assert records.fields[0]["MULTIPASS_CLIENT"] == CLIENT
    assert "MULTIPASS_UID" not in records.fields[1]
    assert records.records[0].__dict__["message_id"] == audit.Event.GRANTED.value


def test_damage_is_a_warning_with_the_file_s_path_and_the_whole_sentence(records: Records) -> None:
    Audit().store_damaged("/var/lib/store", "x" * 500)
    Audit().settings_unusable("/etc/conf", "not read")
    assert [each["MULTIPASS_PATH"] for each in records.fields] == ["/var/lib/store", "/etc/conf"]
    events = [each["MULTIPASS_EVENT"] for each in records.fields]
    assert events == ["store_damaged", "settings_unusable"]
    assert {record.levelno for record in records.records} == {logging.WARNING}
    assert records.texts[0] == "x" * 500


def test_message_ids_are_distinct_journal_ids() -> None:
    ids = [event.value for event in audit.Event]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 32 and int(each, 16) for each in ids)


def test_100000_denials_are_one_record_and_one_summary_and_grants_stay_seen(
    records: Records,
) -> None:
    trail = Audit()
    trail.tick(0)
    trail.granted("cc" * 32, 1, "first client")
    for _ in range(100_000):
        trail.denied(1001, CLIENT, "not trusted")
    trail.granted("dd" * 32, 2, "passphrase")
    trail.tick(audit.SUMMARY_INTERVAL)
    assert len(records.records) == 4
    assert "refused 99999 more calls" in records.texts[-1]
    assert records.fields[-1]["MULTIPASS_COUNT"] == "99999"


def test_nothing_refused_means_no_summary(records: Records) -> None:
    trail = Audit()
    trail.denied(1, CLIENT, "not trusted")
    for now in range(0, 600, 30):
        trail.tick(now)
    assert len(records.records) == 1


def test_ever_new_certificates_of_one_user_fill_only_that_users_share(records: Records) -> None:
    trail = Audit()
    trail.tick(0)
    for minute in range(3):
        for number in range(1000):
            trail.denied(1001, f"{minute}-{number}", "not trusted")
        trail.tick((minute + 1) * audit.SUMMARY_INTERVAL)
    assert len(records.records) == audit.KINDS_OF_A_UID + 3
    trail.denied(1002, CLIENT, "not trusted")
    assert records.fields[-1]["MULTIPASS_UID"] == "1002"


def test_ever_new_users_fill_a_bounded_table_and_the_rest_is_counted(records: Records) -> None:
    trail = Audit()
    for number in range(audit.KINDS + 100):
        trail.denied(number, "", "not trusted")
    assert len(records.records) == audit.KINDS
    trail.summarise()
    assert "100 of others" in records.texts[-1]


def test_a_refusal_is_news_again_when_it_was_forgotten(records: Records) -> None:
    trail = Audit()
    trail.tick(0)
    trail.denied(1, CLIENT, "not trusted")
    trail.tick(audit.FORGET_AFTER / 2)
    trail.denied(1, CLIENT, "not trusted")  # keeps it known
    trail.tick(audit.FORGET_AFTER + 1)
    assert len(records.records) == 2
    trail.tick(2 * audit.FORGET_AFTER)
    trail.denied(1, CLIENT, "not trusted")
    assert records.fields[-1]["MULTIPASS_EVENT"] == "denied"


def test_a_clock_set_back_neither_silences_nor_floods(records: Records) -> None:
    trail = Audit()
    trail.tick(1e9)
    trail.denied(1, "", "x")
    trail.denied(1, "", "x")
    trail.tick(0)
    assert len(records.records) == 1
    trail.tick(audit.SUMMARY_INTERVAL)
    assert len(records.records) == 2


@given(st.text(max_size=400))
def test_foreign_text_becomes_one_printable_line(text: str) -> None:
    assert audit.printable(text).isprintable()
    audit.printable(text).encode()


def test_foreign_text_can_not_forge_lines(records: Records) -> None:
    Audit().changed("local.x\nforged", 1, "")
    Audit().denied(1, "a\x1b[2J", "b\nc")
    assert all(text.isprintable() for text in records.texts)
    assert all(value.isprintable() for each in records.fields for value in each.values())
