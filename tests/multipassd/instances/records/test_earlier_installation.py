"""Instances of 1.16 in this service's storage are named, and left as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multipassd.instances.records import earlier_installation
from tests.conftest import DaemonFactory
from tests.multipassd.admin.trust import Trust, client, snapshot
from tools.sandbox import Sandbox

RECORD = {"num_cores": 2, "mem_size": "1073741824", "disk_space": "5368709120", "state": 4}
GHOST = {"num_cores": 0, "mem_size": "", "disk_space": "", "metadata": {}, "deleted": False}
TOLD = "2 instances of Multipass 1.16 (bar, foo) are in "


def put(directory: Path, **records: object) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "multipassd-vm-instances.json").write_text(json.dumps(records))


def test_they_are_named_by_list_the_log_and_check(daemon: DaemonFactory, sandbox: Sandbox) -> None:
    put(sandbox.data, foo=RECORD, bar=RECORD, ghost=GHOST)
    disk = sandbox.data / "vault/instances/foo/disk.img"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(b"a user's")
    before = snapshot(sandbox.data / "vault")
    service = daemon(sandbox=sandbox)
    answer = service.cli("alice", "list")
    assert answer.stdout == "No instances found.\n"
    assert (
        answer.stderr.startswith(TOLD)
        and "takes them over; until then they are left alone" in answer.stderr
    )
    assert TOLD in service.log_text()
    assert f"note     {TOLD}" in Trust(sandbox).run("check").stdout
    assert snapshot(sandbox.data / "vault") == before


def test_import_says_that_they_are_not_taken_over(sandbox: Sandbox, tmp_path: Path) -> None:
    pair, _ = client()
    data = tmp_path / "data"
    (data / "authenticated-certs").mkdir(parents=True)
    Trust(sandbox).put(data / "authenticated-certs/multipass_client_certs.pem", pair)
    put(data, foo=RECORD, bar=RECORD)
    assert TOLD in Trust(sandbox).done("import", tmp_path)


@pytest.mark.parametrize(
    ("data", "cache"), [("data", "cache"), ("data/multipassd", "cache/multipassd")]
)
def test_older_versions_have_them_in_the_cache(tmp_path: Path, data: str, cache: str) -> None:
    put(tmp_path / cache, foo=RECORD)
    told = earlier_installation.warning(tmp_path / data)
    assert told.startswith("1 instance of Multipass 1.16 (foo) is in ")


def test_those_that_were_taken_over_are_not_named(tmp_path: Path) -> None:
    put(tmp_path, foo={**RECORD, "mac_addr": "52:54:00:00:00:01"}, bar=RECORD)
    assert "(bar) is in " in earlier_installation.warning(tmp_path, {"52:54:00:00:00:01"})


def test_where_there_are_none_nothing_is_said(tmp_path: Path) -> None:
    assert earlier_installation.warning(tmp_path / "data") == ""
    put(tmp_path / "data", ghost=GHOST)
    assert earlier_installation.warning(tmp_path / "data") == ""


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"foo": '])
def test_what_can_t_be_read_is_no_reason_to_be_silent(tmp_path: Path, text: str) -> None:
    (tmp_path / "multipassd-vm-instances.json").write_text(text)
    assert "may be there" in earlier_installation.warning(tmp_path)


def test_names_that_are_none_reach_no_terminal(tmp_path: Path) -> None:
    put(tmp_path, **{"foo": RECORD, "\x1b[2J": RECORD, "bar": 3})
    assert "(foo)" in earlier_installation.warning(tmp_path)
