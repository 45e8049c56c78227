"""The audit trail: what is always recorded, and what nobody can flood it with."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from multipassd import audit, log
from multipassd.audit import Audit


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.records]


@pytest.fixture
def records() -> Iterator[Records]:
    handler, logger = Records(), log.get("audit")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)


def test_each_grant_and_removal_is_a_record_with_fields(records: Records) -> None:
    trail = Audit()
    trail.granted("ab" * 32, 1000, "first client")
    trail.removed("ab" * 32, None)
    assert [r.fields["MULTIPASS_EVENT"] for r in records.records] == ["granted", "removed"]  # type: ignore[attr-defined]
    assert records.records[0].fields["MULTIPASS_UID"] == "1000"  # type: ignore[attr-defined]


def test_100000_denials_are_one_record_and_one_summary_and_a_grant_stays_seen(
    records: Records,
) -> None:
    trail = Audit()
    trail.tick(0)
    trail.granted("cc" * 32, 1, "first client")
    for _ in range(100_000):
        trail.denied(1001, "ab" * 32, "not trusted")
    trail.granted("dd" * 32, 2, "passphrase")
    trail.tick(audit.SUMMARY_INTERVAL)
    assert len(records.records) == 4
    assert "refused 99999 more calls of one caller" in records.texts[-1]


def test_denials_of_ever_new_kinds_fill_a_bounded_table(records: Records) -> None:
    trail = Audit()
    for number in range(audit.KINDS * 2):
        trail.denied(number, "", "not trusted")
    assert len(records.records) <= audit.KINDS + 1
    trail.summarise()
    assert f"refused {audit.KINDS - 1} more calls" in records.texts[-1]


def test_a_clock_set_back_neither_silences_nor_floods(records: Records) -> None:
    trail = Audit()
    trail.tick(10_000)
    trail.denied(1, "", "x")
    trail.denied(1, "", "x")
    trail.tick(0)
    assert len(records.records) == 1
    trail.tick(audit.SUMMARY_INTERVAL)
    assert len(records.records) == 2


def test_foreign_text_can_not_forge_lines(records: Records) -> None:
    Audit().changed("local.x\nforged", 1, "")
    assert "\n" not in records.texts[0]
