"""TLS and HTTP/2 of one connection by the bytes of the wire, without sockets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from OpenSSL import SSL, crypto

from multipassd.auth.peer import Credentials
from multipassd.transport.quota.origin import Caller as Origin
from multipassd.transport.quota.work_budget import Account
from multipassd.transport.tls import TlsContext, TlsError
from multipassd.transport.wire_session import Conversation
from protocol.certificates import KeyPair, make_client, make_root, make_server
from protocol.grpc import frame, path
from protocol.http2_frames import ProtocolError
from protocol.pem import fingerprint, pem_to_der
from tests.multipassd.transport.session_double import Caller, Service, told, turns
from tests.multipassd.transport.tls_client import HEADERS

IDENTITY = make_server(make_root())
CLIENT = make_client()
ORIGIN = Origin(Credentials(1000, 1000, 42, frozenset()), "1000", Account("1000", 0.0))
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")


class Wire:
    """A TLS client over memory, and the conversation at the other end."""

    def __init__(self, pair: KeyPair | None = CLIENT, protocol: bytes = b"h2") -> None:
        self.link = Caller(Service())
        context = TlsContext(IDENTITY.certificate, IDENTITY.key)
        self.talk = Conversation(context, self.link, Service())
        self.link.session = self.talk.session
        self._tls = SSL.Connection(_client_context(pair, protocol), None)
        self._tls.set_connect_state()

    def handshake(self) -> Wire:
        while not self.talk.established:
            with suppress(SSL.WantReadError):
                self._tls.do_handshake()
            self.talk.take(self._outgoing())
            self.talk.decrypt()
            self._incoming()
        return self

    def send(self, plain: bytes) -> None:
        """To the conversation, which has only taken it then."""
        self._tls.send(plain)
        self.talk.take(self._outgoing())

    def receive(self) -> bytes:
        """What the conversation has ready, decrypted."""
        self._incoming()
        parts = []
        with suppress(SSL.WantReadError):
            while True:
                parts.append(self._tls.recv(1 << 16))
        return b"".join(parts)

    def ended(self) -> bool:
        """Did the other side end TLS?"""
        try:
            self._tls.recv(1)
        except SSL.ZeroReturnError:
            return True
        except SSL.WantReadError:
            return False
        return False

    def give(self, data: bytes) -> None:
        self._tls.bio_write(data)

    def _incoming(self) -> None:
        if data := self.talk.output():
            self._tls.bio_write(data)

    def _outgoing(self) -> bytes:
        parts = []
        with suppress(SSL.WantReadError):
            while True:
                parts.append(self._tls.bio_read(1 << 16))
        return b"".join(parts)


def _client_context(pair: KeyPair | None, protocol: bytes) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_alpn_protos([protocol])
    if pair is not None:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        context.use_certificate(crypto.X509.from_cryptography(certificate))
        key = load_pem_private_key(pair.key, None)
        context.use_privatekey(crypto.PKey.from_cryptography_key(key))  # type: ignore[arg-type]
    return context


def in_a_loop(check: Callable[[], None]) -> None:
    """A session asks for the time of the loop that it lives in."""

    async def story() -> None:
        check()

    told(story())


def test_the_peer_is_who_holds_the_certificates_key_and_who_the_kernel_names() -> None:
    def check() -> None:
        peer = Wire().handshake().talk.peer(ORIGIN)
        assert peer.certificate == pem_to_der(CLIENT.certificate)
        assert peer.fingerprint == fingerprint(peer.certificate)
        assert (peer.uid, peer.person) == (1000, "1000")
        stranger = Wire(pair=None).handshake().talk.peer(ORIGIN)
        assert (stranger.certificate, stranger.fingerprint) == (b"", "")

    in_a_loop(check)


def whole_call(client: H2Connection) -> bytes:
    client.initiate_connection()
    client.send_headers(1, [(k, path("ping") if k == ":path" else v) for k, v in HEADERS])
    client.send_data(1, frame(b""), end_stream=True)
    return client.data_to_send()


def test_what_was_received_is_decrypted_and_handled_in_steps() -> None:
    async def story() -> None:
        wire = Wire().handshake()
        wire.talk.session.begin()
        client = H2Connection(H2Configuration(header_encoding="utf-8"))
        wire.send(whole_call(client))
        steps = 0
        while wire.talk.pending:
            wire.talk.decrypt()
            wire.talk.handle(20)
            steps += 1
        assert steps > 5
        await turns()
        events = client.receive_data(wire.receive())
        (answer,) = [each for each in events if isinstance(each, ResponseReceived)]
        found = {str(name): str(value) for name, value in answer.headers or []}
        assert found["grpc-status"] == "0"
        wire.talk.session.abandon()

    told(story())


def test_nothing_of_what_is_discarded_is_handled() -> None:
    def check() -> None:
        wire = Wire().handshake()
        wire.talk.session.begin()
        wire.send(b"no HTTP/2 at all")
        wire.talk.decrypt()
        wire.talk.discard()
        assert not wire.talk.pending
        wire.talk.handle(1 << 16)  # raises nothing
        wire.send(b"no HTTP/2 at all")
        wire.talk.decrypt()
        with pytest.raises(ProtocolError):
            wire.talk.handle(1 << 16)

    in_a_loop(check)


def test_bytes_that_are_no_tls_are_an_error() -> None:
    def check() -> None:
        wire = Wire()
        wire.talk.take(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(TlsError):
            wire.talk.decrypt()

    in_a_loop(check)


def test_a_client_of_another_protocol_is_refused_in_the_handshake() -> None:
    def check() -> None:
        with pytest.raises((TlsError, SSL.Error)):
            Wire(protocol=b"http/1.1").handshake()

    in_a_loop(check)


def test_the_last_words_end_tls() -> None:
    def check() -> None:
        wire = Wire().handshake()
        assert not wire.ended()
        wire.give(wire.talk.last_words())
        assert wire.ended()

    in_a_loop(check)
