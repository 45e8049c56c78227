"""What goes wrong on an administrator's day: the sentence has to name the right place and cure."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from multipassd.auth import passphrase
from multipassd.settings.settings import Settings
from protocol.settings import DAEMON_KEYS
from tests.conftest import DaemonFactory
from tests.multipassd.admin.trust import TRUST, Trust, client
from tools.sandbox import CHECKOUT

EXAMPLE = CHECKOUT / "debian" / "multipassd.conf.example"


def test_a_full_disk_behind_the_output_is_not_blamed_on_the_store(trust: Trust) -> None:
    with open("/dev/full", "wb") as full:
        done = to(trust, full.fileno())
    assert done.returncode == 1
    assert done.stderr == b"multipass-trust: standard output: No space left on device.\n"


def test_a_reader_that_has_seen_enough_gets_no_sentence(trust: Trust) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = to(trust, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def to(trust: Trust, output: int) -> subprocess.CompletedProcess[bytes]:
    trust.data.mkdir(mode=0o700, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-I", str(TRUST), "list", "--data", str(trust.data)],
        env=trust.sandbox.daemon_env(), stdout=output, stderr=subprocess.PIPE, check=False,
        timeout=60,
    )  # fmt: skip


def test_settings_that_are_named_and_not_there_are_not_imported(
    trust: Trust, tmp_path: Path
) -> None:
    pair, _ = client()
    other = tmp_path / "other" / "authenticated-certs"
    other.mkdir(parents=True)
    trust.put(other / "multipass_client_certs.pem", pair).chmod(0o600)
    missing = tmp_path / "multipassd.conf"
    said = trust.refused("import", other.parent, "--settings", missing)
    assert f"There are no settings at {missing}" in said
    assert not trust.store.exists(), "nothing was taken over"


def test_who_is_trusted_already_is_told_by_the_name_on_record(trust: Trust) -> None:
    pair, who = client()
    trust.done("add", "-", "--name", "laptop", input=pair.certificate)
    said = trust.done("add", "-", "--name", "other", input=pair.certificate)
    assert said == f"{who[:16]} (laptop) is trusted already.\n"


@pytest.mark.parametrize("name", ["\x1b[31m", "Alice", "\u0430lice", "root"])
def test_a_name_that_is_not_plain_or_is_reserved_is_refused(trust: Trust, name: str) -> None:
    pair, _ = client()
    assert "\x1b" not in trust.refused("add", "-", "--name", name, input=pair.certificate)
    assert not trust.store.exists()


def test_repair_gives_the_modes_that_the_daemon_gives(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    side = trust.store.with_name("clients.jsonl")
    for path in (trust.store, side, trust.store.parent):
        path.chmod(0o777)
    trust.run("check", "--repair")
    modes = [path.stat().st_mode & 0o777 for path in (trust.store, side, trust.store.parent)]
    assert modes == [0o600, 0o600, 0o700]


def test_check_names_the_one_cure_that_fits(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    trust.store.chmod(0o666)
    said = trust.run("check").stdout
    assert "check --repair`, which keeps what it holds" in said
    assert "begin an empty one" not in said
    trust.store.chmod(0o600)
    trust.store.write_text("garbage")
    said = trust.run("check").stdout
    assert "restore it from a copy, or begin an empty one by `sudo multipass-trust reset`" in said
    assert "--repair" not in said


def test_check_tells_that_names_and_dates_are_ignored(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    trust.store.with_name("clients.jsonl").chmod(0o666)
    done = trust.run("check")
    assert done.returncode == 1
    assert "names and dates of clients are unknown: others may write to it" in done.stdout


def test_check_says_which_passphrases_a_1_16_daemon_can_not_check(trust: Trust) -> None:
    settings = trust.sandbox.settings_path
    settings.parent.mkdir(parents=True, exist_ok=True)
    of_1_16 = hashlib.scrypt(b"secret", salt=b"", n=1 << 14, r=8, p=1, dklen=64).hex()
    for record, refused in ((passphrase.make("secret"), True), (of_1_16, False)):
        settings.write_text(f"[General]\nlocal.passphrase={record}\n")
        said = trust.run("check").stdout
        assert "the passphrase for `multipass authenticate` is set" in said
        assert ("Multipass 1.16 can't check this passphrase" in said) == refused


def test_a_store_cut_to_nothing_is_named_with_its_cure(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    os.truncate(trust.store, 0)
    os.utime(trust.store, (1.0, 1.0))
    done = trust.run("check")
    assert done.returncode == 1
    assert "is empty, though clients are on record that were never removed" in done.stdout
    assert "reset" in done.stdout
    trust.refused("add", "-", input=pair.certificate)


def test_list_says_what_it_cannot_show_and_what_mends_it(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", "--name", "laptop", input=pair.certificate)
    trust.store.with_name("clients.jsonl").chmod(0o666)
    done = trust.run("list", "--format", "json")
    assert done.returncode == 0 and "laptop" not in done.stdout
    assert "names and dates of clients are unknown" in done.stderr
    trust.store.chmod(0o666)
    assert "`sudo multipass-trust check --repair` keeps what it holds" in trust.refused("list")


def test_check_finds_a_directory_in_which_others_could_replace_the_store(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    trust.data.chmod(0o777)
    done = trust.run("check")
    assert done.returncode == 1
    assert f"others may write to {trust.data} (0777)" in done.stdout
    assert f"sudo chmod go-w {trust.data}" in done.stdout


def test_check_tells_a_lost_store_from_one_that_nobody_is_in_yet(daemon: DaemonFactory) -> None:
    running = daemon()
    trust = Trust(running.sandbox)
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    running.stop()
    for path in trust.store.parent.iterdir():
        path.unlink()
    trust.store.parent.rmdir()
    said = trust.run("check").stdout
    assert f"{trust.store.parent} is missing, and with it the list of trusted clients" in said
    assert "no client is trusted yet" not in said
    trust.refused("list")
    trust.refused("remove", "zzzz")
    assert trust.run("check").returncode == 1, "a refused command has not begun an empty store"
    trust.done("reset", "--yes")
    assert "no client is trusted yet" in trust.run("check").stdout


def test_reset_of_a_file_in_the_directorys_place_leaves_an_empty_store(trust: Trust) -> None:
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)
    shutil.rmtree(trust.store.parent)
    trust.store.parent.write_text("not a directory")
    trust.done("reset", "--yes")
    assert "no client is trusted yet" in trust.run("check").stdout


def test_reset_also_clears_what_lies_where_the_directory_belongs(trust: Trust) -> None:
    trust.data.mkdir(mode=0o700, exist_ok=True)
    trust.store.parent.write_text("not a directory")
    said = trust.done("reset", "--yes")
    (kept,) = trust.data.glob("authenticated-certs.damaged-*")
    assert kept.read_text() == "not a directory"
    assert str(kept) in said
    pair, _ = client()
    trust.done("add", "-", input=pair.certificate)


def test_every_setting_of_the_commented_example_is_one_that_works(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text().splitlines()
    taken = [line.removeprefix("#") for line in lines if line[:2] != "# "]
    path = tmp_path / "multipassd.conf"
    path.write_text("\n".join(taken))
    path.chmod(0o600)
    settings = Settings(path)
    assert (settings.problem, settings.warnings) == ("", [])
    shown = {line.partition("=")[0] for line in taken if line.startswith("local.")}
    assert shown and shown <= set(DAEMON_KEYS)
    assert settings.section("images").keys() >= {"remote.release", "proxy"}


def test_in_the_snap_it_goes_by_the_name_that_people_type_there(trust: Trust) -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(TRUST), "remove", "--data", str(trust.data)],
        env={**trust.sandbox.daemon_env(), "SNAP_NAME": "multipass"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("usage: multipass.trust remove ")


@pytest.mark.parametrize("verb", ["list", "check", "add", "remove", "reset", "import", "tcp"])
def test_a_data_directory_that_does_not_exist_is_an_error(
    trust: Trust, tmp_path: Path, verb: str
) -> None:
    pair, _ = client()
    file = trust.put(tmp_path / "client.pem", pair)
    words: dict[str, list[str | Path]] = {
        "add": [file], "remove": ["someone"], "import": [tmp_path], "tcp": ["enable"]
    }  # fmt: skip
    typo = tmp_path / "no-such" / "data"
    said = trust.refused(verb, *words.get(verb, []), "--data", typo)
    assert f"There is no directory {typo}." in said
    assert not typo.parent.exists()
