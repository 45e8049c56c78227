from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest

from multipassd.admin.access import user
from multipassd.admin.access.verb import TrustError
from tests.multipassd.admin.trust import Trust, client, snapshot


def listed(trust: Trust) -> dict[str, str]:
    clients = json.loads(trust.done("list", "--format", "json"))["clients"]
    return {each["fingerprint"]: each["name"] for each in clients}


def test_files_and_standard_input_are_added_and_adding_again_changes_nothing(
    trust: Trust, tmp_path: Path
) -> None:
    (one, a), (two, b), (three, c) = client(), client(), client()
    file = trust.put(tmp_path / "two.pem", one, two)
    assert "is trusted now" in trust.done("add", file, "--name", "laptop")
    trust.done("add", "-", input=three.certificate)
    assert listed(trust) == {a: "laptop", b: "laptop", c: f"client-{c[:8]}"}
    before = trust.store.read_bytes()
    assert trust.done("add", file).count("is trusted already") == 2
    assert trust.store.read_bytes() == before
    assert trust.store.stat().st_mode & 0o777 == 0o600


def test_a_dry_run_makes_not_even_the_directory(trust: Trust, tmp_path: Path) -> None:
    pair, who = client()
    said = trust.done("add", "--dry-run", trust.put(tmp_path / "c.pem", pair))
    assert f"Would do: Trust {who[:16]}" in said
    assert not trust.data.exists()


def test_a_private_key_is_refused_by_name_and_never_shown(trust: Trust, tmp_path: Path) -> None:
    pair, _ = client()
    key = tmp_path / "key.pem"
    key.write_bytes(pair.key)
    for done in (
        trust.run("add", key),
        trust.run("add", "-", input=pair.key),
        trust.run("add", "-", input=pair.certificate + pair.key),
    ):
        assert done.returncode == 1
        assert "private key" in done.stderr
        for line in pair.key.decode().splitlines()[1:-1]:
            assert line not in done.stdout + done.stderr
    assert not trust.store.exists()


def test_one_bad_file_keeps_the_good_ones_out_too(trust: Trust, tmp_path: Path) -> None:
    pair, _ = client()
    bad = tmp_path / "bad.pem"
    bad.write_bytes(pair.certificate[:-40])
    said = trust.refused("add", trust.put(tmp_path / "good.pem", pair), bad)
    assert "bad.pem is refused" in said
    assert not trust.store.exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\n \n", "empty"),
        (b"rubbish\0", "not a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate"),
        (b"x" * 40_001, "larger than 40000"),
    ],
)
def test_what_is_no_certificate_is_refused(trust: Trust, content: bytes, why: str) -> None:
    assert why in trust.refused("add", "-", input=content)
    assert not trust.store.exists()


def test_only_regular_files_are_read(trust: Trust, tmp_path: Path) -> None:
    pair, _ = client()
    good = trust.put(tmp_path / "good.pem", pair)
    link, fifo = tmp_path / "link.pem", tmp_path / "fifo.pem"
    link.symlink_to(good)
    os.mkfifo(fifo)
    assert "symbolic link" in trust.refused("add", link)
    for path in (fifo, tmp_path, Path("/dev/zero")):
        assert "not a regular file" in trust.refused("add", path)
    assert "No such file" in trust.refused("add", tmp_path / "absent.pem")
    assert not trust.store.exists()


@pytest.mark.parametrize(
    "arguments", [(), ("-", "--user", "root"), ("--surprise",)], ids=["none", "both", "unknown"]
)
def test_bad_usage_ends_with_2(trust: Trust, arguments: tuple[str, ...]) -> None:
    assert trust.run("add", *arguments).returncode == 2


def test_a_store_with_loose_modes_is_refused_and_repaired_on_request(
    trust: Trust, tmp_path: Path
) -> None:
    (old, a), (new, b) = client(), client()
    trust.done("add", "-", input=old.certificate)
    trust.store.chmod(0o666)
    trust.store.parent.chmod(0o777)
    file = trust.put(tmp_path / "new.pem", new)
    assert "--repair" in trust.refused("add", file)
    before = snapshot(trust.data)
    assert "Would do: Put owner and mode" in trust.done("add", file, "--repair", "--dry-run")
    assert snapshot(trust.data) == before
    trust.done("add", file, "--repair")
    assert set(listed(trust)) == {a, b}
    assert trust.store.stat().st_mode & 0o022 == 0
    assert trust.store.parent.stat().st_mode & 0o022 == 0


# add --user


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pwd.struct_passwd:
    """The own user, with a home in the test's directory."""
    own = pwd.getpwuid(os.geteuid())
    made = pwd.struct_passwd((own.pw_name, "x", own.pw_uid, own.pw_gid, "", str(tmp_path), ""))
    monkeypatch.setattr(user, "account_of", lambda name: made)
    monkeypatch.delenv("SNAP_NAME", raising=False)
    return made


def test_a_users_certificate_is_made_where_the_deb_has_it(account: pwd.struct_passwd) -> None:
    home = Path(account.pw_dir)
    assert user.certificates_of("alice", dry_run=True) == []
    assert not list(home.iterdir())
    made = user.certificates_of("alice", dry_run=False)
    assert len(made) == 1
    assert (home / ".local/share/multipass-client-certificate/multipass_cert.pem").exists()
    assert not (home / "snap").exists()
    assert user.certificates_of("alice", dry_run=False) == made


def test_both_packages_clients_of_a_user_are_found(account: pwd.struct_passwd) -> None:
    for directory in user.directories(account).values():
        directory.mkdir(parents=True)
        pair, _ = client()
        (directory / "multipass_cert.pem").write_bytes(pair.certificate)
        (directory / "multipass_cert_key.pem").write_bytes(pair.key)
    assert len(user.certificates_of("alice", dry_run=True)) == 2


def test_in_the_snap_nobody_makes_current(
    account: pwd.struct_passwd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAP_NAME", "multipass")
    home = Path(account.pw_dir)
    with pytest.raises(TrustError, match="run multipass once first"):
        user.certificates_of("alice", dry_run=False)
    assert not list(home.iterdir())
    (home / "snap/multipass/current").mkdir(parents=True)
    assert user.certificates_of("alice", dry_run=False)


def test_a_user_who_does_not_exist_is_refused(trust: Trust) -> None:
    assert "no user called" in trust.refused("add", "--user", "no-such-user")
