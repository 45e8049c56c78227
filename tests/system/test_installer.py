"""Hosts without a Unix socket: root enrols the installing user; the others need the passphrase."""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.people import People, Person
from tests.system.site import EMPTY_LIST, NOT_AUTHENTICATED, Done, Site


@pytest.fixture
def real_home(people: People) -> Iterator[Path]:
    """Alice's home as her account names it: the installer looks nowhere else."""
    home = Path(pwd.getpwnam(people.alice.account).pw_dir)
    home.mkdir(mode=0o700)
    os.chown(home, people.alice.uid, people.alice.gid)
    yield home
    shutil.rmtree(home)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install(site: Site, user: str) -> Done:
    return subprocess.run(
        [sys.executable, "-I", str(site.copy / "bin/multipassd"), "--enrol-installer", user],
        env=site.sandbox.daemon_env(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def run_tcp(
    site: Site, person: Person, port: int, *arguments: str, home: Path | None = None
) -> Done:
    extra = {"MULTIPASS_SERVER_ADDRESS": f"127.0.0.1:{port}"}
    if home is not None:
        extra["HOME"] = str(home)
    return site.run(person, *arguments, env=extra)


def test_the_installing_user_is_trusted_over_tcp_and_nobody_else(
    site: Site, people: People, real_home: Path
) -> None:
    done = install(site, people.alice.account)
    assert done.returncode == 0, done
    assert done.stdout == f"The client of {people.alice.account} is now authenticated.\n"
    directory = real_home / ".local/share/multipass-client-certificate"
    for name, mode in ((".", 0o700), ("multipass_cert_key.pem", 0o600)):
        status = (directory / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (
            mode, people.alice.uid, people.alice.gid,
        )  # fmt: skip
    assert (directory / "multipass_cert.pem").stat().st_uid == people.alice.uid
    assert install(site, people.alice.account).stdout.endswith("was authenticated already.\n")
    assert len(site.stored()) == 1

    port = free_port()
    site.start("--address", f"127.0.0.1:{port}", "--address", site.sandbox.address)
    done = run_tcp(site, people.alice, port, "list", home=real_home)
    assert (done.returncode, done.stdout, done.stderr) == (0, EMPTY_LIST, "")
    done = run_tcp(site, people.bob, port, "list")
    assert (done.returncode, done.stderr) == (2, NOT_AUTHENTICATED)
    done = run_tcp(site, people.alice, port, "set", "local.passphrase=over tcp", home=real_home)
    assert done.returncode == 0, done
    assert run_tcp(site, people.bob, port, "authenticate", "over tcp").returncode == 0
    assert run_tcp(site, people.bob, port, "list").stdout == EMPTY_LIST


def test_tcp_enrols_nobody_by_connecting(site: Site, people: People) -> None:
    port = free_port()
    site.start("--address", f"127.0.0.1:{port}", "--address", site.sandbox.address)
    for person in (people.alice, people.bob):
        done = run_tcp(site, person, port, "list")
        assert (done.returncode, done.stderr) == (2, NOT_AUTHENTICATED)
    assert not site.store.exists()
    site.enrol_first(people.alice)


def test_enrolling_beside_a_running_daemon_counts_without_a_restart(
    site: Site, people: People, real_home: Path
) -> None:
    site.start()
    site.enrol_first(people.dave)
    assert install(site, people.alice.account).returncode == 0
    site.until(
        lambda: site.run(people.alice, "list", env={"HOME": str(real_home)}).stdout == EMPTY_LIST,
        "the installer to be trusted",
    )
    assert site.run(people.dave, "list").stdout == EMPTY_LIST


def test_what_lies_in_the_home_is_only_done_with_its_owners_rights(
    site: Site, people: People, real_home: Path
) -> None:
    """A link to root's place must neither be written through nor read through."""
    target = site.sandbox.root / "roots-own"
    target.mkdir(mode=0o700)
    (target / "multipass_cert.pem").write_text("secret")
    share = real_home / ".local" / "share"
    share.mkdir(parents=True)
    (share / "multipass-client-certificate").symlink_to(target)
    for path in (share, share.parent):
        os.chown(path, people.alice.uid, people.alice.gid)
    done = install(site, people.alice.account)
    assert done.returncode == 1
    assert done.stderr.startswith(f"multipassd: {people.alice.account} was not enrolled.")
    assert "secret" not in done.stdout + done.stderr
    assert [path.name for path in target.iterdir()] == ["multipass_cert.pem"]
    assert not site.store.exists()


def test_an_unknown_user_is_named(site: Site) -> None:
    done = install(site, "mptest-nobody-has-this-name")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no user called 'mptest-nobody-has-this-name'" in done.stderr
