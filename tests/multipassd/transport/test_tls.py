"""TLS without I/O: both versions, every kind of certificate, whole or byte by byte."""

from __future__ import annotations

import contextlib
import gc
import os

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL, crypto

from benchmarks.proc import rss_mib
from multipassd.transport.tls import TlsContext, TlsError, TlsSession
from protocol.certificates import KeyPair, make_client, make_root, make_server
from protocol.pem import pem_to_der
from tests.interop import certificates

pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

ROOT = make_root()
SERVER = make_server(ROOT)
CONTEXT = TlsContext(SERVER.certificate, SERVER.key)
VERSIONS = {"TLSv1.2": SSL.TLS1_2_VERSION, "TLSv1.3": SSL.TLS1_3_VERSION}


class Handshake:
    """A client and a session that exchange bytes by method calls."""

    def __init__(
        self, pair: KeyPair | None = None, version: int = 0, alpn: tuple[bytes, ...] = (b"h2",)
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if alpn:
            context.set_alpn_protos(list(alpn))
        if version:
            context.set_max_proto_version(version)
        if pair is not None:
            one = x509.load_pem_x509_certificate(pair.certificate)
            context.use_certificate(crypto.X509.from_cryptography(one))
            key = load_pem_private_key(pair.key, None)
            context.use_privatekey(crypto.PKey.from_cryptography_key(key))  # type: ignore[arg-type]
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        self.session = TlsSession(CONTEXT)

    def run(self, step: int = 1 << 16) -> Handshake:
        """Until both sides are done; `step` bytes at a time. Raises as the session does."""
        for _ in range(6):
            try:
                self.client.do_handshake()
            except SSL.WantReadError:
                pass
            self.to_session(step)
            self.to_client()
        return self

    def to_session(self, step: int = 1 << 16) -> bytes:
        data, plain = _taken(self.client), b""
        for start in range(0, len(data), step):
            plain += self.session.receive(data[start : start + step])
        return plain

    def to_client(self) -> None:
        if data := self.session.outgoing():
            self.client.bio_write(data)


def _taken(connection: SSL.Connection) -> bytes:
    data = b""
    while True:
        try:
            data += connection.bio_read(1 << 16)
        except SSL.WantReadError:
            return data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "make", [make_client, certificates.rsa_pair, certificates.ed25519_pair,
             certificates.expired_pair]
)  # fmt: skip
def test_both_versions_hand_over_every_kind_of_certificate(version: str, make: object) -> None:
    assert callable(make)
    pair = make()
    done = Handshake(pair, VERSIONS[version]).run()
    assert done.client.get_protocol_version_name() == version
    assert done.session.established and done.session.speaks_http2
    assert done.session.peer_certificate() == pem_to_der(pair.certificate)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_certificate_is_an_empty_one(version: str) -> None:
    done = Handshake(None, VERSIONS[version]).run()
    assert done.session.established and done.session.peer_certificate() == b""


def test_older_versions_are_refused() -> None:
    with pytest.raises((TlsError, SSL.Error)):
        Handshake(None, SSL.TLS1_1_VERSION).run()


def test_bytes_may_come_one_by_one() -> None:
    assert Handshake(make_client()).run(step=1).session.established


def test_a_protocol_other_than_http2_is_refused() -> None:
    with pytest.raises((TlsError, SSL.Error)):
        Handshake(alpn=(b"http/1.1",)).run()


def test_a_client_that_offers_no_protocol_speaks_no_http2() -> None:
    assert not Handshake(alpn=()).run().session.speaks_http2


def test_a_certificate_of_40_kb_passes_and_one_of_120_kb_does_not() -> None:
    pair = certificates.large_pair(40_000)
    assert Handshake(pair).run().session.peer_certificate() == pem_to_der(pair.certificate)
    with pytest.raises((TlsError, SSL.Error)):
        Handshake(certificates.large_pair(120_000)).run()


def test_what_is_sent_arrives_in_both_directions() -> None:
    done = Handshake(make_client()).run()
    data = bytes(range(256)) * 1000
    done.session.send(data)
    done.to_client()
    received = b""
    while len(received) < len(data):
        received += done.client.recv(1 << 16)
    assert received == data
    done.client.send(b"and back")
    assert done.to_session() == b"and back"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff"])
def test_no_tls_is_a_tls_error(data: bytes) -> None:
    session = TlsSession(CONTEXT)
    with pytest.raises(TlsError):
        session.receive(data + b"x" * 100)
    session.close()


def test_a_tampered_record_is_a_tls_error() -> None:
    done = Handshake(make_client()).run()
    done.client.send(b"hello")
    data = bytearray(_taken(done.client))
    data[-1] ^= 1
    with pytest.raises(TlsError):
        done.session.receive(bytes(data))


def _encrypted(key: bytes) -> bytes:
    lock = BestAvailableEncryption(b"secret")
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        (SERVER.certificate, make_client().key),
        (SERVER.certificate, b""),
        (b"", SERVER.key),
        (SERVER.key, SERVER.certificate),
        (SERVER.certificate[:200], SERVER.key),
        (SERVER.certificate, _encrypted(SERVER.key)),
    ],
    ids=["another's key", "no key", "no certificate", "exchanged", "cut off", "encrypted"],
)
def test_a_certificate_and_a_key_that_do_not_fit_are_refused(
    certificate: bytes, key: bytes
) -> None:
    with pytest.raises(ValueError, match="the server's"):
        TlsContext(certificate, key)


def test_sessions_outlive_a_context_that_was_replaced() -> None:
    context = TlsContext(SERVER.certificate, SERVER.key)
    handshake = Handshake(make_client())
    handshake.session = TlsSession(context)
    del context
    gc.collect()
    assert handshake.run().session.established


def test_sessions_give_their_memory_back() -> None:
    """Whole ones and such as were abandoned in the middle: one that is kept takes 30 KiB."""
    pair = make_client()

    def use(number: int) -> None:
        for _ in range(number):
            Handshake(pair).run().session.peer_certificate()
            abandoned = TlsSession(CONTEXT)
            with contextlib.suppress(TlsError):
                abandoned.receive(b"\x16\x03\x01\x02\x00\x01")

    use(50)
    before = rss_mib(os.getpid())
    use(500)
    assert rss_mib(os.getpid()) - before < 8
