from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.trust import names
from multipassd.trust.client_record import ClientRecord
from tests.multipassd.admin.trust import TRUST, Trust, client, snapshot


@pytest.fixture
def sleeping(trust: Trust) -> Iterator[Path]:
    """A socket that a service manager holds while the daemon sleeps."""
    path = trust.sandbox.socket_path
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o660)
        listening.listen()
        yield path


def test_list_shows_name_how_by_whom_and_until_when(trust: Trust) -> None:
    pair, who = client()
    assert "No client is trusted yet" in trust.done("list")
    trust.done("add", "-", "--name", "alice", input=pair.certificate)
    (found,) = json.loads(trust.done("list", "--format", "json"))["clients"]
    assert (found["name"], found["fingerprint"]) == ("alice", who)
    assert (found["how"], found["uid"]) == ("multipass-trust", os.getuid())
    assert found["enrolled"] and found["expires"] and found["last_seen"] is None
    heading, row = trust.done("list").splitlines()
    assert heading.split()[:3] == ["NAME", "FINGERPRINT", "ROLE"]
    assert row.split()[:3] == ["alice", who[:16], "admin"]


def test_what_was_appended_by_hand_is_listed_so(trust: Trust) -> None:
    (one, _), (two, who) = client(), client()
    trust.done("add", "-", input=one.certificate)
    with trust.store.open("ab") as file:
        file.write(two.certificate)
    clients = json.loads(trust.done("list", "--format", "json"))["clients"]
    assert {each["fingerprint"]: each["how"] for each in clients}[who] == "by hand"


def test_remove_by_name_or_beginning_and_a_dry_run_removes_nothing(trust: Trust) -> None:
    (one, a), (two, b) = client(), client()
    trust.done("add", "-", "--name", "alice", input=one.certificate)
    trust.done("add", "-", input=two.certificate)
    before = snapshot(trust.data)
    assert "Would do: Remove" in trust.done("remove", "--dry-run", "alice")
    assert snapshot(trust.data) == before
    trust.done("remove", "alice")
    assert "No trusted client" in trust.refused("remove", a[:12])
    assert "the last one" in trust.done("remove", b[:12].upper())
    assert "No client is trusted yet" in trust.done("list")


def test_a_name_with_several_certificates_is_removed_with_all_after_naming_them(
    trust: Trust,
) -> None:
    (one, a), (two, b), (three, c) = client(), client(), client()
    both = one.certificate + two.certificate
    trust.done("add", "-", "--name", "twins", input=both)
    trust.done("add", "-", "--name", "other", input=three.certificate)
    assert trust.done("remove", "twins", "--dry-run").count("Would do: Remove") == 2
    said = trust.done("remove", "twins")
    assert a in said and b in said and said.count("is no longer trusted") == 2
    (left,) = json.loads(trust.done("list", "--format", "json"))["clients"]
    assert left["fingerprint"] == c


def test_an_ambiguous_choice_removes_no_client_and_names_the_candidates(trust: Trust) -> None:
    pair, who = client()
    while not who[0].isalpha():  # as a name does
        pair, who = client()
    trust.done("add", "-", input=pair.certificate)
    trust.done("add", "-", "--name", who[:8], input=client()[0].certificate)
    said = trust.refused("remove", who[:8])
    assert who in said and "fits 2 clients, so nothing was changed" in said
    assert len(json.loads(trust.done("list", "--format", "json"))["clients"]) == 2


def test_a_beginning_that_fits_two_or_is_too_short_is_refused() -> None:
    records = [ClientRecord("abcd0" + "0" * 59), ClientRecord("abcd1" + "0" * 59, "abcd")]
    assert names.choose(records, "ABCD0") == [records[0].fingerprint]
    for wanted in ("abc", "", "ffff"):
        assert names.choose(records, wanted) == []
    with pytest.raises(names.Ambiguous) as refused:
        names.choose(records, "abcd")
    assert records[0].fingerprint in refused.value.candidates


def test_the_first_addition_opens_a_sleeping_daemons_socket_and_the_last_removal_narrows_it(
    trust: Trust, sleeping: Path
) -> None:
    pair, who = client()
    trust.done("add", "-", "--dry-run", input=pair.certificate)
    assert sleeping.stat().st_mode & 0o777 == 0o660
    trust.done("add", "-", input=pair.certificate)
    assert sleeping.stat().st_mode & 0o777 == 0o666
    trust.done("remove", who)
    assert sleeping.stat().st_mode & 0o006 == 0


def test_with_data_and_no_socket_the_standard_socket_is_not_looked_at(trust: Trust) -> None:
    trust.data.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-I", str(TRUST), "check", "--data", str(trust.data)],
        env=trust.sandbox.daemon_env(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert "no socket was looked at" in done.stdout


# reset


def damage(trust: Trust) -> bytes:
    trust.store.parent.mkdir(mode=0o700, parents=True)
    trust.store.write_bytes(b"rubbish\n")
    trust.store.chmod(0o666)
    return b"rubbish\n"


def test_reset_keeps_a_copy_and_begins_anew(trust: Trust, sleeping: Path) -> None:
    content = damage(trust)
    sleeping.chmod(0o666)
    assert "reset" in trust.refused("list")
    assert "Confirm with --yes" in trust.refused("reset")
    before = snapshot(trust.data)
    trust.done("reset", "--dry-run")
    assert snapshot(trust.data) == before
    said = trust.done("reset", "--yes")
    (kept,) = trust.store.parent.glob("damaged-*")
    assert str(kept) in said
    assert (kept / trust.store.name).read_bytes() == content
    assert "No client is trusted yet" in trust.done("list")
    assert sleeping.stat().st_mode & 0o006 == 0


def test_a_store_in_order_is_not_reset(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    before = trust.store.read_bytes()
    assert "is in order" in trust.refused("reset", "--yes")
    assert trust.store.read_bytes() == before


@pytest.mark.root
def test_who_is_neither_root_nor_owner_gets_one_sentence(trust: Trust) -> None:
    setpriv = shutil.which("setpriv")
    trust.data.mkdir()
    if setpriv is None or not _reachable():
        pytest.skip("needs setpriv and a checkout that others can reach")
    become = [setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run(
        [*become, sys.executable, "-I", str(TRUST), "list", "--data", str(trust.data)],
        env=trust.sandbox.daemon_env(), capture_output=True, text=True, check=False, timeout=60,
        cwd="/",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("multipass-trust: Only root and the owner")
    assert done.stderr.count("\n") == 1


def _reachable() -> bool:
    return all(each.stat().st_mode & 0o001 for each in TRUST.parents)


def test_output_that_nobody_takes_is_a_failure(trust: Trust) -> None:
    trust.data.mkdir(mode=0o700, exist_ok=True)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-I", str(TRUST), "list", "--data", str(trust.data)],
            env=trust.sandbox.daemon_env(), stdout=full, stderr=subprocess.PIPE, check=False,
            timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"No space left" in done.stderr
