from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from multipassd.certificates import certificate_checks
from protocol import certificates
from protocol.certificates import CertificateError, KeyPair
from protocol.pem import pem_to_der


@pytest.fixture(scope="module")
def root() -> KeyPair:
    return certificates.make_root()


def parse(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def test_client_is_self_signed_for_a_random_name_and_for_clients_only() -> None:
    one, other = parse(certificates.make_client()), parse(certificates.make_client())
    assert one.issuer == one.subject
    assert common_name(one) != common_name(other)
    assert one.serial_number != other.serial_number
    assert one.version is x509.Version.v3
    assert isinstance(one.public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(one.signature_hash_algorithm, hashes.SHA256)
    usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_subject_is_that_of_multipass(root: KeyPair) -> None:
    assert parse(root).subject.rfc4514_string() == "CN=Multipass Root CA,O=Canonical,C=US"


def test_certificates_begin_a_day_back_and_last_as_decided(root: KeyPair) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for pair, days in (
        (certificates.make_root(now), 3650),
        (certificates.make_server(root, [], now), 365),
        (certificates.make_client(now), 365),
    ):
        assert certificate_checks.pem_not_after(pair.certificate) == now + timedelta(days=days)
        der = pem_to_der(pair.certificate)
        assert certificate_checks.not_after(der) == now + timedelta(days=days)
        assert certificate_checks.valid_at(pair.certificate, now - timedelta(hours=23))
        assert not certificate_checks.valid_at(pair.certificate, now - timedelta(hours=25))


def test_server_is_valid_for_localhost_and_the_given_names(root: KeyPair) -> None:
    server = certificates.make_server(root, ["10.0.0.1", "FE80:0::1%eth0", "host.example"])
    assert certificate_checks.names(server.certificate) == {
        "localhost",
        "10.0.0.1",
        "fe80::1",
        "host.example",
    }
    assert certificate_checks.is_issued_by(server.certificate, root.certificate)


def test_client_and_foreign_certificates_have_no_names_and_another_issuer(root: KeyPair) -> None:
    client = certificates.make_client()
    assert certificate_checks.names(client.certificate) == frozenset()
    assert not certificate_checks.is_issued_by(client.certificate, root.certificate)
    impostor = certificates.make_root()
    server = certificates.make_server(impostor)
    assert not certificate_checks.is_issued_by(server.certificate, root.certificate)


def test_tls_accepts_the_server_by_its_root_even_when_strict(root: KeyPair, tmp_path: Path) -> None:
    server = certificates.make_server(root, ["127.0.0.1"])
    (tmp_path / "pair").write_bytes(server.certificate + server.key)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tmp_path / "pair")
    client_side = ssl.create_default_context(cadata=root.certificate.decode())
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("localhost", "127.0.0.1"):
        shake_hands(client_side, server_side, name)


def shake_hands(client_side: ssl.SSLContext, server_side: ssl.SSLContext, name: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    pending = [client, server]
    for _ in range(10):
        for side in list(pending):
            try:
                side.do_handshake()
                pending.remove(side)
            except ssl.SSLWantReadError:
                pass
    assert not pending


def test_root_for_an_existing_key_verifies_what_that_key_signed(root: KeyPair) -> None:
    server = certificates.make_server(root)
    again = certificates.make_root_for(root.key)
    assert again.certificate != root.certificate
    assert certificate_checks.is_issued_by(server.certificate, again.certificate)


def test_matches_tells_a_pair_from_two_halves() -> None:
    one, other = certificates.make_client(), certificates.make_client()
    assert certificate_checks.matches(one.certificate, one.key)
    assert not certificate_checks.matches(one.certificate, other.key)
    assert not certificate_checks.matches(one.certificate, b"")
    assert not certificate_checks.matches(b"garbage", one.key)


def test_foreign_kinds_of_certificate_are_accepted() -> None:
    for key in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        check_self_signed(key)


def check_self_signed(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "foreign")])
    now = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    ).sign(key, hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None)
    certificates.check(certificate.public_bytes(serialization.Encoding.DER))


@given(st.binary(max_size=300))
def test_garbage_is_refused_with_the_one_error(data: bytes) -> None:
    with pytest.raises(CertificateError):
        certificates.check(data)
    assert not certificate_checks.is_authority(data)
    assert not certificate_checks.key_is_sound(data)


def test_what_follows_a_certificate_makes_it_none() -> None:
    der = pem_to_der(certificates.make_client().certificate)
    certificates.check(der)
    for wrong in (der + b"\0", der[:-1], der + der):
        with pytest.raises(CertificateError):
            certificates.check(wrong)


@pytest.mark.parametrize("name", ["ü.example", "日本"])
def test_a_name_outside_ascii_is_refused(name: str) -> None:
    with pytest.raises(CertificateError, match="neither"):
        certificates.canonical_name(name)


def test_key_pair_never_shows_its_key() -> None:
    pair = certificates.make_client()
    assert b"PRIVATE KEY" in pair.key
    assert "PRIVATE" not in repr(pair)
    assert os.linesep not in repr(pair)
