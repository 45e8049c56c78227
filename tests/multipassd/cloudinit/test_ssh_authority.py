"""The certificates of the SSH authority, as ssh-keygen reads them."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from multipassd.cloudinit import ssh_authority, ssh_keys
from multipassd.cloudinit.ssh_authority import BACKWARD, VALID, Login, SshAuthority, principal
from protocol.errors import MalformedRequest, StorageFailed

GUEST = Login("foo-0123456789abcdef")


def shown(tmp_path: Path, certificate: str) -> str:
    """What ssh-keygen says about it."""
    path = tmp_path / "id-cert.pub"
    path.write_text(certificate)
    command = ["ssh-keygen", "-L", "-f", str(path)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def test_a_certificate_names_client_guest_and_nothing_but_a_terminal(tmp_path: Path) -> None:
    authority = SshAuthority(tmp_path)
    text = shown(tmp_path, authority.certify(ssh_keys.make().public, GUEST, "alice"))
    assert 'Key ID: "alice"' in text and "user certificate" in text
    assert re.search(r"Principals: \n\s+ubuntu@foo-0123456789abcdef\n\s+Critical", text)
    assert re.search(r"Extensions: \n\s+permit-pty\n$", text)
    assert "Critical Options: (none)" in text


def test_a_certificate_is_valid_for_minutes_around_now(tmp_path: Path) -> None:
    now = 1_700_000_000
    text = shown(
        tmp_path,
        SshAuthority(tmp_path, lambda: now + 0.5).certify(ssh_keys.make().public, GUEST, "a"),
    )
    stamp = "%Y-%m-%dT%H:%M:%S"
    begin, end = (
        time.strftime(stamp, time.localtime(each)) for each in (now - BACKWARD, now + VALID)
    )
    assert f"Valid: from {begin} to {end}" in text


def test_each_certificate_has_its_own_serial(tmp_path: Path) -> None:
    authority, key = SshAuthority(tmp_path), ssh_keys.make().public
    texts = [shown(tmp_path, authority.certify(key, GUEST, "a")) for _ in range(2)]
    assert len({line for text in texts for line in text.splitlines() if "Serial" in line}) == 2


def test_the_authority_is_the_same_after_a_restart_and_its_file_is_roots(tmp_path: Path) -> None:
    first = SshAuthority(tmp_path)
    assert first.line(GUEST) == SshAuthority(tmp_path).line(GUEST)
    assert first.path.stat().st_mode & 0o077 == 0


def test_a_line_is_recognised_as_ours_and_no_instance_id_breaks_out_of_it(tmp_path: Path) -> None:
    authority = SshAuthority(tmp_path)
    assert ssh_authority.OURS.fullmatch(authority.line(GUEST))
    hostile = Login('a" ssh-rsa x\ncommand="y",*', "o,o")
    line = authority.line(hostile)
    assert ssh_authority.OURS.fullmatch(line) and "," not in principal(hostile)


def test_principals_of_different_guests_and_users_differ() -> None:
    guests = [
        GUEST,
        Login(GUEST.instance_id, "root"),
        Login("bar-1"),
        Login("b", "a%40"),
        Login("%40b", "a"),
    ]
    assert len({principal(guest) for guest in guests}) == len(guests)
    assert principal(Login(GUEST.instance_id, "ubuntu")) == principal(GUEST)


@pytest.mark.parametrize("public", ["", "ssh-ed25519 AAAA", "x" * 1_000_000, "ssh-rsa \0", "ü"])
def test_what_is_no_ed25519_key_gets_no_certificate(tmp_path: Path, public: str) -> None:
    with pytest.raises(MalformedRequest):
        SshAuthority(tmp_path).certify(public, GUEST, "a")


def test_a_name_can_not_write_lines_into_a_guests_log(tmp_path: Path) -> None:
    text = shown(
        tmp_path, SshAuthority(tmp_path).certify(ssh_keys.make().public, GUEST, "a\nb" * 1000)
    )
    (line,) = (each for each in text.splitlines() if "Key ID" in each)
    assert "a?ba?b" in line and len(line) < 300


def test_a_damaged_key_of_the_authority_is_left_alone_and_named(tmp_path: Path) -> None:
    authority = SshAuthority(tmp_path)
    authority.path.parent.mkdir()
    authority.path.write_text("no key")
    with pytest.raises(StorageFailed, match="authority_rsa.*shared key"):
        authority.line(GUEST)
    assert authority.path.read_text() == "no key"
