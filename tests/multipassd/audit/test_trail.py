"""The audit trail: what is always recorded, and what can't flood it."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from multipassd.audit import record, refusals
from multipassd.audit.event import Event
from multipassd.audit.record import NOBODY, Actor
from multipassd.audit.trail import SUMMARY_INTERVAL, Audit
from tests.multipassd.audit.conftest import Records

CLIENT = "ab" * 32


def caller(uid: int, fingerprint: str = "") -> Actor:
    return Actor(uid=uid, fingerprint=fingerprint)


def test_each_grant_removal_and_change_is_a_record_with_fields(records: Records) -> None:
    journal = Audit()
    journal.granted(CLIENT, caller(1000), "first client")
    journal.removed(CLIENT, NOBODY)
    journal.changed("local.driver", caller(0))
    assert [each["MULTIPASS_EVENT"] for each in records.fields] == ["granted", "removed", "changed"]
    assert records.fields[0]["MULTIPASS_UID"] == "1000"
    assert records.fields[0]["MULTIPASS_CLIENT"] == CLIENT
    assert "MULTIPASS_UID" not in records.fields[1]
    assert records.records[0].__dict__["message_id"] == Event.GRANTED.value


def test_damage_is_a_warning_with_the_file_s_path_and_the_whole_sentence(records: Records) -> None:
    Audit().store_damaged("/var/lib/store", "x" * 500)
    Audit().settings_unusable("/etc/conf", "not read")
    assert [each["MULTIPASS_PATH"] for each in records.fields] == ["/var/lib/store", "/etc/conf"]
    events = [each["MULTIPASS_EVENT"] for each in records.fields]
    assert events == ["store_damaged", "settings_unusable"]
    assert {each.levelno for each in records.records} == {logging.WARNING}
    assert records.texts[0] == "x" * 500


def test_message_ids_are_distinct_journal_ids() -> None:
    ids = [event.value for event in Event]
    assert len(set(ids)) == len(ids)
    assert all(len(each) == 32 and int(each, 16) for each in ids)


def test_100000_denials_are_one_record_and_one_summary_and_grants_stay_seen(
    records: Records,
) -> None:
    journal = Audit()
    journal.tick(0)
    journal.granted("cc" * 32, caller(1), "first client")
    for _ in range(100_000):
        journal.denied(caller(1001, CLIENT), "not trusted")
    journal.granted("dd" * 32, caller(2), "passphrase")
    journal.tick(SUMMARY_INTERVAL)
    assert len(records.records) == 4
    assert "refused 99999 more calls" in records.texts[-1]
    assert records.fields[-1]["MULTIPASS_COUNT"] == "99999"


def test_nothing_refused_means_no_summary(records: Records) -> None:
    journal = Audit()
    journal.denied(caller(1, CLIENT), "not trusted")
    for now in range(0, 600, 30):
        journal.tick(now)
    assert len(records.records) == 1


def test_ever_new_certificates_of_one_user_fill_only_that_users_share(records: Records) -> None:
    journal = Audit()
    journal.tick(0)
    for minute in range(3):
        for number in range(1000):
            journal.denied(caller(1001, f"{minute}-{number}"), "not trusted")
        journal.tick((minute + 1) * SUMMARY_INTERVAL)
    assert len(records.records) == refusals.KINDS_OF_A_UID + 3
    journal.denied(caller(1002, CLIENT), "not trusted")
    assert records.fields[-1]["MULTIPASS_UID"] == "1002"


def test_ever_new_users_fill_a_bounded_table_and_the_rest_is_counted(records: Records) -> None:
    journal = Audit()
    for number in range(refusals.KINDS + 100):
        journal.denied(caller(number, ""), "not trusted")
    assert len(records.records) == refusals.KINDS
    journal.summarise()
    assert "100 of others" in records.texts[-1]


def test_a_refusal_is_news_again_when_it_was_forgotten(records: Records) -> None:
    journal = Audit()
    journal.tick(0)
    journal.denied(caller(1, CLIENT), "not trusted")
    journal.tick(refusals.FORGET_AFTER / 2)
    journal.denied(caller(1, CLIENT), "not trusted")  # keeps it known
    journal.tick(refusals.FORGET_AFTER + 1)
    assert len(records.records) == 2
    journal.tick(2 * refusals.FORGET_AFTER)
    journal.denied(caller(1, CLIENT), "not trusted")
    assert records.fields[-1]["MULTIPASS_EVENT"] == "denied"


def test_a_clock_set_back_neither_silences_nor_floods(records: Records) -> None:
    journal = Audit()
    journal.tick(1e9)
    journal.denied(caller(1, ""), "x")
    journal.denied(caller(1, ""), "x")
    journal.tick(0)
    assert len(records.records) == 1
    journal.tick(SUMMARY_INTERVAL)
    assert len(records.records) == 2


@given(st.text(max_size=400))
def test_foreign_text_becomes_one_printable_line(text: str) -> None:
    assert record.printable(text).isprintable()
    record.printable(text).encode()


def test_foreign_text_can_not_forge_lines(records: Records) -> None:
    Audit().changed("local.x\nforged", caller(1))
    Audit().denied(caller(1, "a\x1b[2J"), "b\nc")
    assert all(text.isprintable() for text in records.texts)
    assert all(value.isprintable() for each in records.fields for value in each.values())
