"""Files that are not what they should be: errors instead of an exit, and nothing written over."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from protocol import certificates
from protocol.certificates import KeyPair
from tests.system.people import ROOT, People
from tests.system.site import EMPTY_LIST, ROOT_AUTHENTICATED, Site, first_line

Spoiler = Callable[[Path, People], None]

STORE_DAMAGED = "The Multipass service can't rely on its list of trusted clients"


def garbage(path: Path, people: People) -> None:
    path.write_bytes(b"\x00\xff no certificate, no settings \xfe\n" * 20)


def wrong_owner(path: Path, people: People) -> None:
    os.chown(path, people.bob.uid, people.bob.gid)


def open_to_writers(path: Path, people: People) -> None:
    path.chmod(0o666)


def symbolic_link(path: Path, people: People) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def fifo(path: Path, people: People) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def directory(path: Path, people: People) -> None:
    path.unlink()
    path.mkdir()


SPOILERS = [garbage, wrong_owner, open_to_writers, symbolic_link, fifo, directory]


def looks(path: Path) -> tuple[object, ...]:
    """All that may not change behind the administrator's back."""
    status = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return status.st_mode, status.st_uid, status.st_gid, content


def put_back(path: Path, content: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.mark.parametrize("restart", [False, True], ids=["while it runs", "at start"])
@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_damaged_store_lets_nobody_in_and_is_left_alone(
    site: Site, people: People, spoil: Spoiler, restart: bool
) -> None:
    site.start()
    site.enrol_first(people.alice)
    content = site.store.read_bytes()
    if restart:
        site.daemon.stop()
    spoil(site.store, people)
    before = looks(site.store)
    if restart:
        site.daemon.start()
    for person in (people.alice, people.dave, people.bob):
        done = site.run(person, "list")
        assert done.returncode == 2, done
        assert first_line(done.stderr).startswith(f"list failed: {STORE_DAMAGED}")
    done = site.run(ROOT, "authenticate")
    assert done.returncode == 2
    assert done.stderr.startswith(f"authenticate failed: {STORE_DAMAGED}"), "not root's prompt"
    assert site.raw_call(people.alice, "ping") == "16 "
    assert site.raw_call(ROOT, "wait_ready") == "0"
    assert looks(site.store) == before
    site.until(lambda: str(site.store) in site.daemon.log_text(), "the journal to name it")

    put_back(site.store, content)
    site.until(lambda: site.run(people.alice, "list").stdout == EMPTY_LIST, "the mended store")
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED


@pytest.mark.parametrize("spoil", SPOILERS)
def test_unusable_settings_are_left_alone(site: Site, people: People, spoil: Spoiler) -> None:
    site.start()
    site.enrol_first(people.alice)
    site.set_passphrase(people.alice, "kept")
    settings = site.sandbox.settings_path
    content = settings.read_bytes()
    spoil(settings, people)
    before = looks(settings)
    for _ in range(2):  # while it runs, and at its next start
        done = site.run(people.alice, "set", "local.passphrase=new")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("set failed: The setting was not changed."), done
        assert str(settings) in done.stderr
        assert looks(settings) == before
        unusable = f"failed: The settings in {settings} are not used: "
        assert unusable in site.run(people.bob, "authenticate", "kept").stderr
        done = site.run(people.alice, "get", "local.passphrase")
        assert (done.returncode, done.stdout) == (2, "")
        assert unusable in done.stderr
        assert site.run(people.alice, "list").stdout == EMPTY_LIST
        site.daemon.restart()
    put_back(settings, content)
    site.set_passphrase(people.alice, "new")
    assert site.run(people.bob, "authenticate", "new").returncode == 0


# The daemon's own certificate.

LONG_AGO = datetime.now(UTC) - timedelta(days=20 * 365)


class Papers:
    """The files of the daemon's identity."""

    def __init__(self, site: Site) -> None:
        self.certificate = site.sandbox.data / "certificates" / "localhost.pem"
        self.key = self.certificate.with_name("localhost_key.pem")
        self.root_key = self.certificate.with_name("localhost_root_key.pem")
        self.root = site.sandbox.root_cert

    def put(self, pair: KeyPair) -> None:
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)

    def authority(self) -> KeyPair:
        return KeyPair(self.root.read_bytes(), self.root_key.read_bytes())


def expire_server(papers: Papers) -> None:
    papers.put(certificates.make_server(papers.authority(), (), LONG_AGO))


def expire_root(papers: Papers) -> None:
    old = certificates.make_root(LONG_AGO)
    papers.root.write_bytes(old.certificate)
    papers.root_key.write_bytes(old.key)
    papers.put(certificates.make_server(old))


def swap_key(papers: Papers) -> None:
    papers.key.write_bytes(certificates.make_server(papers.authority()).key)


def foreign_server(papers: Papers) -> None:
    papers.put(certificates.make_server(certificates.make_root()))


def foreign_root(papers: Papers) -> None:
    papers.root.write_bytes(certificates.make_root().certificate)


def lose_certificate(papers: Papers) -> None:
    papers.certificate.unlink()


def lose_everything(papers: Papers) -> None:
    for path in (papers.certificate, papers.key, papers.root_key, papers.root):
        path.unlink()


def scribble(papers: Papers) -> None:
    for path in (papers.certificate, papers.key, papers.root_key, papers.root):
        path.write_bytes(b"\x00 nonsense \xff")


def open_key(papers: Papers) -> None:
    papers.key.chmod(0o644)


@pytest.mark.parametrize(
    "spoil",
    [
        expire_server, expire_root, swap_key, foreign_server, foreign_root, lose_certificate,
        lose_everything, scribble, open_key,
    ],
)  # fmt: skip
def test_the_daemons_certificate_is_repaired_at_start(
    site: Site, people: People, spoil: Callable[[Papers], None]
) -> None:
    site.start()
    site.enrol_first(people.alice)
    papers = Papers(site)
    site.daemon.stop()
    spoil(papers)
    site.daemon.start()
    done = site.run(people.alice, "list")
    assert (done.returncode, done.stdout) == (0, EMPTY_LIST)
    assert done.stderr == "", "no warning: it verifies against the root certificate on disk"
    for secret in (papers.key, papers.root_key):
        assert secret.stat().st_mode & 0o077 == 0
    assert papers.root.stat().st_mode & 0o777 == 0o644
