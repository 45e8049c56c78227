"""`multipass-trust log`, without a journal: points in time, rows, and how they are written out.
With one: tests/system/test_journal_records.py."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multipassd.admin.access.verb import TrustError
from multipassd.admin.records import formats, query, when
from multipassd.admin.records.row import cells, row_of
from multipassd.audit.event import Event
from tests.multipassd.admin.trust import Trust
from tools.sandbox import Sandbox

NOW = datetime(2026, 11, 29, 15, 30, tzinfo=UTC)
HOUR = 3600.0
RECORD = {
    "__REALTIME_TIMESTAMP": 1_795_966_200_123_456,
    "MESSAGE": "a, b were stopped",
    "MULTIPASS_EVENT": "instance",
    "MULTIPASS_NAME": "alice",
    "MULTIPASS_ROLE": "user",
    "MULTIPASS_CLIENT": "ab" * 32,
    "MULTIPASS_UID": "1000",
    "MULTIPASS_PID": "4711",
    "MULTIPASS_VERB": "stop",
    "MULTIPASS_INSTANCE": ["a", "b"],
    "MULTIPASS_OUTCOME": "done",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW.timestamp() - 90),
        ("30m", NOW.timestamp() - HOUR / 2),
        ("2h", NOW.timestamp() - 2 * HOUR),
        ("7d", NOW.timestamp() - 7 * 24 * HOUR),
        ("2w", NOW.timestamp() - 14 * 24 * HOUR),
        ("now", NOW.timestamp()),
        ("today", datetime(2026, 11, 29, tzinfo=UTC).timestamp()),
        ("yesterday", datetime(2026, 11, 28, tzinfo=UTC).timestamp()),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC).timestamp()),
        ("2026-11-01 12:30", datetime(2026, 11, 1, 12, 30, tzinfo=UTC).timestamp()),
        ("2026-11-01T12:30:15+01:00", datetime(2026, 11, 1, 11, 30, 15, tzinfo=UTC).timestamp()),
        (" 2026-11-01T12:30Z ", datetime(2026, 11, 1, 12, 30, tzinfo=UTC).timestamp()),
    ],
)
def test_points_in_time_are_utc(text: str, expected: float) -> None:
    assert when.parse(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "2", "-2h", "2y", "tomorrow", "2026-13-01", "999999999d", "٣h"]
)
def test_what_is_no_point_in_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(TrustError, match="is no point in time. Say for example"):
        when.parse(text, NOW)


def test_slips_have_the_exit_codes_of_other_verbs(sandbox: Sandbox) -> None:
    trust = Trust(sandbox)
    assert "no point in time" in trust.refused("log", "--since", "tomorrow")
    assert trust.run("log", "--follow", "--format", "json").returncode == 2
    assert trust.run("log", "--format", "xml").returncode == 2


def test_a_record_is_a_row() -> None:
    row = row_of(RECORD)
    assert row.time == "2026-11-29T15:30:00.123+00:00"
    assert row.instances == ("a", "b") and row.what == "stop" and row.client == "ab" * 32
    assert cells(row) == (
        "2026-11-29 15:30:00", "alice", "user", "uid 1000, pid 4711", "stop", "a, b", "done",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"EVENT": "granted", "NAME": "bob", "CLIENT": "cd" * 32, "HOW": "multipass-trust",
             "UID": "0"},
            ("root", "--", "uid 0", "grant", "bob", "done (multipass-trust)"),
        ),
        (
            {"EVENT": "removed", "NAME": "bob", "CLIENT": "cd" * 32, "ADDRESS": "192.0.2.7:40222",
             "BY_NAME": "alice", "BY_ROLE": "admin", "BY_CLIENT": "ab" * 32},
            ("alice", "admin", "192.0.2.7:40222", "revoke", "bob", "done"),
        ),
        (
            {"EVENT": "denied", "REASON": "not trusted", "CLIENT": "cd" * 32, "UID": "4000000"},
            ("cdcdcdcdcdcdcdcd", "--", "uid 4000000", "denied", "--", "refused (not trusted)"),
        ),
        (
            {"EVENT": "denied", "COUNT": "12"},
            ("--", "--", "--", "denied", "--", "refused (12 times)"),
        ),
        (
            {"EVENT": "repeated", "NAME": "bob", "ROLE": "user", "COUNT": "500", "VERB": "start",
             "INSTANCE": "foo"},
            ("bob", "user", "--", "start", "foo", "summed up (500 times)"),
        ),
        (
            {"EVENT": "instance", "VERB": "clone", "INSTANCE": "b", "SOURCE": "a",
             "OUTCOME": "done"},
            ("--", "--", "--", "clone", "b (of a)", "done"),
        ),
        (
            {"EVENT": "failed", "VERB": "restore", "INSTANCE": "a", "SNAPSHOT": "s",
             "OUTCOME": "failed", "STATUS": "aborted", "REASON": "it runs"},
            ("--", "--", "--", "restore", "a.s", "failed (aborted: it runs)"),
        ),
        (
            {"EVENT": "changed", "SETTING": "local.a.cpus", "INSTANCE": "a"},
            ("--", "--", "--", "set", "local.a.cpus", "done"),
        ),
    ],
)  # fmt: skip
def test_who_did_it_and_how_it_ended(fields: dict[str, str], expected: tuple[str, ...]) -> None:
    assert cells(row_of({f"MULTIPASS_{name}": value for name, value in fields.items()}))[1:] == (
        expected
    )


@given(
    st.dictionaries(
        st.sampled_from([*RECORD, "MULTIPASS_REASON", "MULTIPASS_SNAPSHOT"]),
        st.text(max_size=20) | st.lists(st.text(max_size=20), max_size=3) | st.integers(),
    )
)
def test_any_record_is_a_row_that_commands_no_terminal(record: dict[str, Any]) -> None:
    row = row_of(record)
    for form in formats.FORMATS.values():
        for line in form([row]):
            assert all(c.isprintable() for c in line), form


def records(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {**RECORD, "MULTIPASS_INSTANCE": f"foo{number}"}


def test_each_format_has_the_same_rows() -> None:
    rows = [row_of(record) for record in records(3)]
    (first, *_) = loaded = json.loads("\n".join(formats.as_json(rows)))["records"]
    assert first["instances"] == ["foo0"] and len(loaded) == 3
    assert yaml.safe_load("\n".join(formats.as_yaml(rows)))["records"] == loaded
    read = list(csv.DictReader(formats.as_csv(rows)))
    assert [each["Instances"] for each in read] == ["foo0", "foo1", "foo2"]
    assert len(list(formats.table(rows))) == 4
    assert json.loads("\n".join(formats.as_json([]))) == {"records": []}
    assert yaml.safe_load("\n".join(formats.as_yaml([]))) == {"records": []}


@pytest.mark.parametrize("form", sorted(formats.FORMATS))
def test_rows_are_written_as_they_come(form: str) -> None:
    """So that a million need no memory."""
    taken = 0

    def endless() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for record in records(10**9):
            taken += 1
            yield record

    lines = formats.FORMATS[form](map(row_of, endless()))
    assert len(list(itertools.islice(lines, 10))) == 10
    assert taken <= formats.MEASURED + 11


def test_a_spreadsheet_runs_nothing_of_a_name() -> None:
    record = {**RECORD, "MULTIPASS_INSTANCE": '=HYPERLINK("http://mallory")'}
    (row,) = csv.DictReader(formats.as_csv([row_of(record)]))
    assert row["Instances"].startswith("'=")


def test_the_journal_is_asked_for_nothing_but_the_service_s_records() -> None:
    found = list(query.conditions(0, "multipassd.service", "", ""))
    assert found[:2] == [["_UID=0"], ["_TRANSPORT=journal"]]
    assert found[2] == [f"MULTIPASS_EVENT={event.name.lower()}" for event in Event]
    assert found[3] == [
        "_SYSTEMD_UNIT=multipassd.service",
        "OBJECT_SYSTEMD_UNIT=multipassd.service",
    ]
    of_user = list(query.conditions(1000, "", "bob", "foo"))
    assert of_user[0] == ["_UID=0", "_UID=1000"]
    assert ["MULTIPASS_INSTANCE=foo", "MULTIPASS_SOURCE=foo"] in of_user
    assert "MULTIPASS_BY_NAME=bob" in of_user[-1]


def test_a_client_is_found_by_name_or_by_the_beginning_of_its_fingerprint() -> None:
    record = {"MULTIPASS_NAME": "bob", "MULTIPASS_CLIENT": "cafe" * 16}
    for wanted in ("bob", "cafe", "CAFE" * 16, ""):
        assert query.concerns(record, wanted)
    for wanted in ("alice", "bo", "caf", "cafe1", "afe0"):
        assert not query.concerns(record, wanted)


def test_what_root_did_without_a_certificate_is_found_by_its_user() -> None:
    record = {"MULTIPASS_UID": "0", "MULTIPASS_EVENT": "removed", "MULTIPASS_NAME": "vic"}
    assert not query.concerns(record, "nobody")
    assert query.concerns(record, "root")
    assert not query.concerns({"MULTIPASS_UID": "0", "MULTIPASS_NAME": "alice"}, "root")
    assert "MULTIPASS_UID=0" in list(query.conditions(0, "", "root", ""))[-1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"SETTING": "local.a.name", "INSTANCE": ["b", "a"], "ABOUT": "b"}, "local.a.name (b)"),
        ({"SETTING": "local.a.owner", "INSTANCE": "a", "ABOUT": "carol"}, "local.a.owner (carol)"),
        ({"SETTING": "local.a.cpus", "INSTANCE": "a"}, "local.a.cpus"),
    ],
)
def test_a_new_name_and_a_new_owner_are_shown(fields: dict[str, Any], expected: str) -> None:
    record = {f"MULTIPASS_{name}": value for name, value in fields.items()}
    assert cells(row_of(record))[5] == expected


def test_the_role_of_an_invitation_is_shown() -> None:
    record = {"MULTIPASS_EVENT": "invited", "MULTIPASS_INVITED": "eve"}
    shown = cells(row_of(record | {"MULTIPASS_INVITED_ROLE": "admin"}))
    assert shown[4:] == ("invite", "eve", "done (role admin)")


@pytest.mark.parametrize("words", [("--client", "925"), ("--client", ""), ("--instance", "")])
def test_a_filter_that_can_match_nothing_is_refused(
    sandbox: Sandbox, words: tuple[str, ...]
) -> None:
    assert Trust(sandbox).run("log", *words).returncode == 2
