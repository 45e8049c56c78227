"""Results in all four formats, by the rules of facts."""

from __future__ import annotations

import json as library
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import render
from client.errors import UsageError
from client.render import instances, json, snapshots, update_notice, versions, yaml
from protocol.messages.access import VersionReply
from protocol.messages.common import (
    InstanceStatus,
    SnapshotFundamentals,
    Timestamp,
    UpdateInfo,
)
from protocol.messages.listing import ListVMInstance, ListVMSnapshot
from protocol.version import VERSION

PRIMARY = ListVMInstance(
    name="primary",
    instance_status=InstanceStatus(status=1),
    ipv4=["10.55.0.17", "192.168.7.4"],
    ipv6=["fe80::1"],
    current_release="24.04 LTS",
)
BUILDER = ListVMInstance(
    name="builder", instance_status=InstanceStatus(status=4), current_release="22.04 LTS"
)
ODD = ListVMInstance(
    name="a-very-long-name-of-an-instance", instance_status=InstanceStatus(status=77)
)


def snapshot(instance: str, name: str, at: int, parent: str = "", comment: str = "") -> Any:
    about = SnapshotFundamentals(
        snapshot_name=name,
        parent=parent,
        comment=comment,
        creation_timestamp=Timestamp(seconds=at),
    )
    return ListVMSnapshot(name=instance, fundamentals=about)


def test_table_of_instances_is_the_documented_example() -> None:
    assert instances.render([BUILDER, PRIMARY], "table", "primary") == (
        "Name                    State             IPv4             Image\n"
        "primary                 Running           10.55.0.17       Ubuntu 24.04 LTS\n"
        "                                          192.168.7.4\n"
        "builder                 Stopped           --               Ubuntu 22.04 LTS\n"
    )


def test_a_long_name_widens_its_column_and_unknowns_have_words() -> None:
    lines = instances.render([ODD], "table", "").splitlines()
    assert lines[1] == f"{ODD.name:<34}{'Unknown':<18}{'--':<17}Not Available"


def test_an_image_that_is_no_release_is_not_available_in_every_form() -> None:
    assert "Not Available" in instances.render([ODD], "csv", "")
    assert library.loads(instances.render([ODD], "json", ""))["list"][0]["release"] == (
        "Not Available"
    )
    assert "    release: Not Available\n" in instances.render([ODD], "yaml", "")


def test_csv_of_instances() -> None:
    assert instances.render([BUILDER, PRIMARY], "csv", "primary") == (
        "Name,State,IPv4,IPv6,Release,AllIPv4\n"
        'primary,Running,10.55.0.17,fe80::1,Ubuntu 24.04 LTS,"10.55.0.17,192.168.7.4"\n'
        'builder,Stopped,,,Ubuntu 22.04 LTS,""\n'
    )


def test_json_of_instances_keeps_the_order_of_the_reply() -> None:
    text = instances.render([BUILDER, PRIMARY], "json", "primary")
    assert [each["name"] for each in library.loads(text)["list"]] == ["builder", "primary"]
    assert text.startswith(
        '{\n    "list": [\n        {\n            "ipv4": [\n            ],\n'
        '            "name": "builder",\n'
    )


def test_yaml_of_instances() -> None:
    assert instances.render([BUILDER, PRIMARY], "yaml", "primary") == (
        "primary:\n  - state: Running\n    ipv4:\n      - 10.55.0.17\n      - 192.168.7.4\n"
        "    release: Ubuntu 24.04 LTS\n"
        "builder:\n  - state: Stopped\n    ipv4:\n      []\n    release: Ubuntu 22.04 LTS\n"
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("table", "No instances found.\n"),
        ("csv", "Name,State,IPv4,IPv6,Release,AllIPv4\n"),
        ("json", '{\n    "list": [\n    ]\n}\n'),
        ("yaml", "\n"),
    ],
)
def test_no_instances(form: str, text: str) -> None:
    assert instances.render([], form, "") == text


SNAPSHOTS = [
    snapshot("b", "s2", 20, "s1", "two\nlines"),
    snapshot("b", "s1", 10),
    snapshot("a", "later", 99, comment="c: d"),
]


def test_table_of_snapshots() -> None:
    assert snapshots.render(SNAPSHOTS, "table", "b") == (
        "Instance   Snapshot   Parent   Comment\n"
        "b          s1         --       --\n"
        "b          s2         s1       two…\n"
        "a          later      --       c: d\n"
    )


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 49 + "…"),
        ("one\ntwo", "one…"),
        ("x" * 60 + "\ny", "x" * 49 + "…"),
        ("", ""),
    ],
)
def test_long_comments_are_shortened(comment: str, shown: str) -> None:
    assert snapshots.shorten(comment) == shown


def test_other_forms_of_snapshots() -> None:
    assert snapshots.render(SNAPSHOTS, "csv", "b") == (
        'Instance,Snapshot,Parent,Comment\nb,s1,,""\nb,s2,s1,"two\nlines"\na,later,,"c: d"\n'
    )
    assert library.loads(snapshots.render(SNAPSHOTS, "json", "b")) == {
        "errors": [],
        "info": {
            "a": {"later": {"comment": "c: d", "parent": ""}},
            "b": {
                "s1": {"comment": "", "parent": ""},
                "s2": {"comment": "two\nlines", "parent": "s1"},
            },
        },
    }
    assert snapshots.render(SNAPSHOTS[:1], "yaml", "b") == (
        'b:\n  - s2:\n      - parent: s1\n        comment: "two\\nlines"\n'
    )


def test_no_snapshots() -> None:
    assert snapshots.render([], "table", "") == "No snapshots found.\n"
    assert snapshots.render([], "csv", "") == "Instance,Snapshot,Parent,Comment\n"
    assert snapshots.render([], "yaml", "") == "\n"
    empty = '{\n    "errors": [\n    ],\n    "info": {\n    }\n}\n'
    assert snapshots.render([], "json", "") == empty


UPDATE = UpdateInfo(version="1.17", url="https://x.org/", title="New", description="Better")


def test_versions() -> None:
    both = VersionReply(version="1.16.2")
    assert versions.render(both, "table") == f"multipass   {VERSION}\nmultipassd  1.16.2\n"
    assert versions.render(VersionReply(), "table") == f"multipass   {VERSION}\n"
    assert versions.render(both, "csv") == (
        f"Multipass,Multipassd,Title,Description,URL\n{VERSION},1.16.2,,,\n"
    )
    assert library.loads(versions.render(both, "json")) == {
        "multipass": VERSION,
        "multipassd": "1.16.2",
    }
    assert versions.render(both, "yaml") == f"multipass: {VERSION}\nmultipassd: 1.16.2\n"
    reply = VersionReply(version="1.16.2", update_info=UPDATE)
    assert "update" in library.loads(versions.render(reply, "json"))
    assert versions.render(reply, "table").endswith(update_notice.notice(UPDATE))


def test_the_update_notice_is_a_box_as_wide_as_its_longest_line() -> None:
    rule = "#" * 50
    assert update_notice.notice(UPDATE) == (
        f"\n{rule}\nNew\nBetter\n\nGo here for more information: https://x.org/\n{rule}\n"
    )
    assert update_notice.notice(UpdateInfo()) == ""
    long = UpdateInfo(version="2", title="t" * 77)
    assert "\n" + "#" * 77 + "\n" in update_notice.notice(long)


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError):
        render.form("Table")


texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_json_reads_back_as_what_it_was(value: Any) -> None:
    assert library.loads(json.render(value)) == value


def test_json_escapes_no_more_than_it_must() -> None:
    assert json.render({"a/é": '"\\\n\x01'}) == '{\n    "a/é": "\\"\\\\\\n\\u0001"\n}\n'


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain text", "plain text"),
        ("24.04", "24.04"),
        ("true", "true"),
        ("-x", "-x"),
        ("a#b", "a#b"),
        ("", '""'),
        ("~", '"~"'),
        ("null", '"null"'),
        ("a:b", '"a:b"'),
        ("a #b", '"a #b"'),
        (" a", '" a"'),
        ("a ", '"a "'),
        ("- a", '"- a"'),
        ("-", '"-"'),
        ("?", '"?"'),
        ("@a", '"@a"'),
        ("%", '"%"'),
        ('"q"', '"\\"q\\""'),
        ("a\tb\n", '"a\\tb\\n"'),
        ("a\x01", '"a\\x01"'),
    ],
)
def test_yaml_scalars_are_quoted_where_they_must_be(text: str, written: str) -> None:
    assert yaml.scalar(text) == written


def test_yaml_nests_and_writes_empty_containers_below_their_key() -> None:
    document: dict[str, Any] = {
        "a": [{"b": None, "c": [], "d": {}, "e": [{"f": 1}]}],
        "k:": "v",
    }
    assert yaml.render(document) == (
        'a:\n  - b: ~\n    c:\n      []\n    d:\n      {}\n    e:\n      - f: 1\n"k:": v\n'
    )
