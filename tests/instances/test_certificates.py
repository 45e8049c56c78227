"""Log-ins by certificates to an instance on real QEMU, whose SSH server is OpenSSH's. The tests
share it, and the last one edits its authorized_keys."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from multipassd.cloudinit.ssh_authority import BACKWARD, VALID, Login, SshAuthority
from multipassd.cloudinit.userdata import USER
from multipassd.instances.records.record import Record
from tests.client.guests.sshd import make_key
from tests.instances.site import SIZE, Site
from tools import records

AUTHORISED = "/home/ubuntu/.ssh/authorized_keys"
LOG = "/var/log/sshd"
SECONDS = 60


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Site]:
    """A site where `foo` runs, and where bob is a user."""
    launched = shared.cli("launch", "--name", "foo", *SIZE, shared.url)
    assert launched.returncode == 0, launched
    said = shared.done("invite", "--role", "user", "bob").split()
    line = next(word for word in said if word.startswith("mpi1-"))
    joined = shared.daemon.cli("bob", "authenticate", line)
    assert joined.returncode == 0, joined
    yield shared


def record(site: Site) -> Record:
    known = records.registry(site.sandbox)
    known.read()
    return known.get("foo")


def log_in(site: Site, folder: Path, certificate: str, user: str = USER, *more: str) -> bool:
    """Does the guest accept this certificate, of the key in the folder?"""
    (folder / "key-cert.pub").write_text(certificate)
    return ssh(site, folder, user, *more).returncode == 0


def ssh(site: Site, folder: Path, user: str, *more: str) -> CompletedProcess[str]:
    options = (
        "BatchMode=yes", "IdentitiesOnly=yes", f"IdentityFile={folder}/key",
        "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
    )  # fmt: skip
    words = [word for option in options for word in ("-o", option)]
    return subprocess.run(
        ["ssh", "-F", "none", *words, *more, "-p", str(record(site).ssh_port),
         f"{user}@127.0.0.1", "true"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


def test_the_guests_own_log_says_who_logged_in_by_which_client(foo: Site) -> None:
    assert foo.inside("foo", "echo here") == "here"
    log = foo.inside("foo", f"sudo cat {LOG}")
    assert re.search(r"ED25519-CERT SHA256:\S+ ID root [0-9a-f]{12} \(serial \d+\) CA RSA", log)
    assert "foo is logged in to by certificates\n" in foo.cli("info", "-v", "foo").stderr


def test_a_certificate_is_good_for_this_guest_this_user_and_now_alone(
    foo: Site, tmp_path: Path
) -> None:
    def ours(guest: Login, skew: float = 0.0) -> str:
        clock = time.time() + skew
        return SshAuthority(foo.sandbox.data, lambda: clock).certify(public, guest, "a")

    (tmp_path / "other").mkdir()
    theirs = SshAuthority(tmp_path / "other")
    _, public = make_key(tmp_path / "key")
    guest = Login(record(foo).instance_id)
    assert log_in(foo, tmp_path, ours(guest))
    assert not log_in(foo, tmp_path, ours(guest), "root"), "another user"
    root, other = Login(guest.instance_id, "root"), Login("bar-0123456789abcdef")
    assert not log_in(foo, tmp_path, ours(root)), "for another user"
    assert not log_in(foo, tmp_path, ours(other)), "for another instance"
    assert not log_in(foo, tmp_path, theirs.certify(public, guest, "a")), "another authority's"
    assert not log_in(foo, tmp_path, ours(guest, -VALID - 60.0)), "it has ended"
    assert not log_in(foo, tmp_path, ours(guest, BACKWARD + 60.0)), "it has not begun"
    assert log_in(foo, tmp_path, ours(guest, BACKWARD - 60.0)), "the guest's clock is behind"


def test_a_certificate_forwards_no_ports(foo: Site, tmp_path: Path) -> None:
    _, public = make_key(tmp_path / "key")
    certificate = SshAuthority(foo.sandbox.data).certify(
        public, Login(record(foo).instance_id), "a"
    )
    (tmp_path / "key-cert.pub").write_text(certificate)
    refused = ssh(foo, tmp_path, USER, "-N", "-W", "127.0.0.1:22")
    assert "stdio forwarding failed" in refused.stderr, refused


def test_a_user_logs_in_to_its_instance_alone_and_by_its_name(foo: Site) -> None:
    refused = foo.daemon.cli("bob", "exec", "foo", "--", "true")
    assert 'instance "foo" does not exist' in refused.stderr
    foo.done("set", "local.foo.owner=bob")
    done = foo.daemon.cli("bob", "exec", "foo", "--", "echo", "here", timeout=SECONDS)
    assert (done.stdout, done.returncode) == ("here\n", 0), done
    assert re.search(r" ID bob [0-9a-f]{12} \(serial", foo.inside("foo", f"sudo cat {LOG}"))


def test_a_guest_whose_line_was_removed_is_reached_by_the_shared_key_and_info_says_so(
    foo: Site,
) -> None:
    foo.inside("foo", f"sed -i '/^cert-authority/d' {AUTHORISED}")
    connections = foo.sandbox.home("alice") / "multipass-ssh"  # which would be used, while there
    foo.wait_for(lambda: not list(connections.iterdir()), "the end of the connection")
    assert foo.inside("foo", "echo here") == "here"
    said = foo.cli("info", "-v", "foo").stderr
    assert "the key that all instances share: it refused a certificate\n" in said
    foo.done("set", "local.foo.owner=bob")
    refused = foo.daemon.cli("bob", "exec", "foo", "--", "true", timeout=SECONDS)
    assert refused.returncode == 2, refused
    assert "it refused a certificate. The key that all instances share is not given out" in (
        refused.stderr
    )
