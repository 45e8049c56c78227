from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from multipassd.certificates import certificate_checks, server_certificate
from multipassd.certificates.server_certificate import Identity
from multipassd.system.files import write_atomically
from protocol import certificates

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Place:
    def __init__(self, base: Path) -> None:
        self.data = base / "data"
        self.root = base / "etc" / "multipassd" / "multipass_root_cert.pem"
        self.directory = self.data / "certificates"

    def ensure(self, *names: str, at: datetime = NOW) -> Identity:
        return server_certificate.ensure(self.data, self.root, names, at.timestamp())

    def files(self) -> dict[str, bytes]:
        paths = [*self.directory.iterdir(), self.root]
        return {path.name: path.read_bytes() for path in paths}

    def check(self, found: Identity, *names: str, at: datetime = NOW) -> None:
        """Sound, saved, and accepted by a client that reads the root certificate."""
        assert not found.problem
        assert certificate_checks.matches(found.certificate, found.key)
        assert certificate_checks.is_issued_by(found.certificate, self.root.read_bytes())
        assert certificate_checks.names(found.certificate) >= {"localhost", *names}
        for certificate in (found.certificate, self.root.read_bytes()):
            assert certificate_checks.valid_at(certificate, at)
            assert certificate_checks.valid_at(certificate, at + 29 * DAY)
        assert self.files()[server_certificate.CERTIFICATE] == found.certificate
        assert self.files()[server_certificate.KEY] == found.key
        assert found.not_after == certificate_checks.pem_not_after(found.certificate)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_first_start_makes_everything_with_the_right_modes(place: Place) -> None:
    old = os.umask(0o077)
    try:
        found = place.ensure()
    finally:
        os.umask(old)
    place.check(found)
    assert mode(place.directory) == 0o700
    assert (
        mode(place.directory / server_certificate.KEY)
        == mode(place.directory / server_certificate.ROOT_KEY)
        == 0o600
    )
    assert mode(place.root) == 0o644
    assert mode(place.root.parent) == mode(place.root.parent.parent) == 0o755


def test_the_next_start_changes_nothing(place: Place) -> None:
    found, files = place.ensure(), place.files()
    assert place.ensure(at=NOW + 300 * DAY) == found
    assert place.files() == files


def test_clients_reach_a_root_certificate_inside_the_data_directory(tmp_path: Path) -> None:
    data = tmp_path / "above" / "data"
    data.parent.mkdir(0o700)
    data.mkdir(mode=0o700)
    server_certificate.ensure(data, data / "root.pem", [], NOW.timestamp())
    assert (mode(data), mode(data.parent)) == (0o711, 0o711)
    assert mode(data / "certificates") == 0o700


def test_a_server_certificate_is_renewed_ahead_and_its_root_kept(place: Place) -> None:
    first, root = place.ensure(), place.root.read_bytes()
    later = NOW + 336 * DAY
    renewed = place.ensure(at=later)
    assert renewed.certificate != first.certificate
    assert place.root.read_bytes() == root
    place.check(renewed, at=later)


def test_a_root_about_to_end_is_issued_anew_for_the_same_key(place: Place) -> None:
    place.ensure()
    copy_of_a_client = place.root.read_bytes()
    later = NOW + 3630 * DAY
    found = place.ensure(at=later)
    place.check(found, at=later)
    assert place.root.read_bytes() != copy_of_a_client
    assert certificate_checks.is_issued_by(found.certificate, copy_of_a_client)


def test_names_are_added_and_those_that_fit_no_certificate_are_reported(place: Place) -> None:
    place.ensure()
    found = place.ensure("10.0.0.1", "FE80:0::1%eth0", "host.example")
    place.check(found, "10.0.0.1", "fe80::1", "host.example")
    assert place.ensure("fe80::1%eth1") == found
    strange = place.ensure("ü.example")
    assert "ü.example" in strange.problem
    assert strange.certificate == found.certificate


@pytest.mark.parametrize(
    "name",
    [
        server_certificate.CERTIFICATE,
        server_certificate.KEY,
        server_certificate.ROOT_KEY,
        "root",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "garbage", "other", "link", "empty"])
def test_whatever_is_damaged_is_repaired(
    place: Place, tmp_path: Path, name: str, damage: str
) -> None:
    place.ensure()
    path = place.root if name == "root" else place.directory / name
    path.rename(tmp_path / "aside")
    if damage == "garbage":
        path.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
    elif damage == "other":
        pair = certificates.make_client(NOW)
        path.write_bytes(
            pair.certificate if b"CERTIFICATE" in (tmp_path / "aside").read_bytes() else pair.key
        )
    elif damage == "link":
        path.symlink_to(tmp_path / "aside")
    elif damage == "empty":
        path.touch()
    found = place.ensure()
    place.check(found)
    assert not path.is_symlink()
    assert place.ensure() == found


def test_a_sound_root_of_an_existing_installation_is_kept(place: Place) -> None:
    old = certificates.make_root(NOW - 1000 * DAY)
    place.root.parent.mkdir(parents=True)
    place.directory.mkdir(parents=True)
    place.root.write_bytes(old.certificate)
    (place.directory / server_certificate.ROOT_KEY).write_bytes(old.key)
    (place.directory / server_certificate.ROOT_KEY).chmod(0o744)
    place.check(place.ensure())
    assert place.root.read_bytes() == old.certificate
    assert mode(place.directory / server_certificate.ROOT_KEY) == 0o600


def test_a_clock_set_back_and_forth_always_leaves_a_valid_identity(place: Place) -> None:
    for at in (NOW, NOW - 2000 * DAY, NOW, datetime(1970, 1, 2, tzinfo=UTC), NOW + 9000 * DAY, NOW):
        place.check(place.ensure(at=at), at=at)


@pytest.mark.root
def test_a_key_written_by_somebody_else_is_not_used(place: Place) -> None:
    place.ensure()
    key = place.directory / server_certificate.ROOT_KEY
    before = key.read_bytes()
    os.chown(key, 12345, 12345)
    place.check(place.ensure())
    assert key.read_bytes() != before
    assert key.stat().st_uid == 0


def test_a_disk_that_refuses_is_a_problem_told_and_not_an_end(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file in place of the directory")
    found = server_certificate.ensure(tmp_path / "data", tmp_path / "root.pem", [], NOW.timestamp())
    assert certificate_checks.matches(found.certificate, found.key)
    assert "could not be saved" in found.problem


def test_identity_never_shows_its_key(place: Place) -> None:
    assert "PRIVATE" not in repr(place.ensure())


def verifies(leaf: bytes, root: bytes, at: datetime, place: Path) -> bool:
    """By OpenSSL, as clients do it."""
    (place / "leaf.pem").write_bytes(leaf)
    (place / "copy.pem").write_bytes(root)
    command = ["openssl", "verify", "-attime", str(int(at.timestamp())), "-x509_strict"]
    files = ["-CAfile", str(place / "copy.pem"), str(place / "leaf.pem")]
    return subprocess.run([*command, *files], capture_output=True, check=False).returncode == 0


def foreign_root(key: bytes) -> bytes:
    """Another order of names, another key identifier than this project would choose."""
    private = certificates.load_key(key)
    name = x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, "Multipass Root CA"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Canonical"),
    ])  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(NOW - 3000 * DAY)
        .not_valid_after(NOW + 300 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(b"a key of 1.16"), critical=False)
        .add_extension(certificates._key_usage(signs_certificates=True), critical=True)
    )
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize("foreign", [False, True])
def test_copies_of_a_renewed_root_fit_until_they_end(
    place: Place, tmp_path: Path, foreign: bool
) -> None:
    """A year in which clients elsewhere follow."""
    place.ensure(at=NOW - 3300 * DAY)
    key = (place.directory / server_certificate.ROOT_KEY).read_bytes()
    if foreign:
        place.root.write_bytes(foreign_root(key))
    copy = place.root.read_bytes()
    ends = certificate_checks.pem_not_after(copy)
    assert NOW < ends < NOW + 365 * DAY
    for at in (NOW, ends - DAY):
        found = place.ensure(at=at)
        assert found.root == place.root.read_bytes() != copy
        assert certificate_checks.valid_at(found.root, ends + 3000 * DAY)
        assert verifies(found.certificate, found.root, at, tmp_path)
        assert verifies(found.certificate, copy, at, tmp_path)
        assert not verifies(found.certificate, copy, ends + DAY, tmp_path)
        assert (place.directory / server_certificate.FORMER_ROOT).read_bytes() == copy
        assert (place.directory / server_certificate.ROOT_KEY).read_bytes() == key
    assert place.ensure(at=ends - DAY).root == found.root


def test_a_root_that_lasts_for_more_than_a_year_is_kept_and_none_is_former(place: Place) -> None:
    kept = place.ensure(at=NOW - 3200 * DAY).root
    assert place.ensure(at=NOW).root == kept
    assert not (place.directory / server_certificate.FORMER_ROOT).exists()


@pytest.mark.parametrize("stop_at", range(6))
def test_a_kill_in_a_renewal_of_the_root_leaves_one_that_fits_all_copies(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    place.ensure(at=NOW - 3300 * DAY)
    copy = place.root.read_bytes()
    writes = 0

    def write(path: Path, data: bytes, mode: int) -> None:
        nonlocal writes
        if writes >= stop_at:
            raise KeyboardInterrupt
        writes += 1
        write_atomically(path, data, mode)

    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr("multipassd.certificates.server_certificate.write_atomically", write)
        place.ensure(at=NOW)
    found = place.ensure(at=NOW)
    for root in (copy, found.root):
        assert verifies(found.certificate, root, NOW, tmp_path)
    assert (place.directory / server_certificate.FORMER_ROOT).read_bytes() == copy
