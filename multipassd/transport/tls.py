"""TLS as bytes in, bytes out: asks for the client's certificate and verifies nothing. Pure.

The gate decides by the certificate's fingerprint; the handshake only proves that the caller holds
its key. The standard library's ssl can't ask without verifying, so this is pyOpenSSL.
"""

from __future__ import annotations

from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto

ALPN = b"h2"
_READ_SIZE = 16384  # TLS's largest record


class TlsError(Exception):
    """The peer's bytes are no TLS of ours; the connection ends."""


def make_context(certificate: bytes, key: bytes) -> SSL.Context:
    """`certificate` and `key` are PEM. Raises ValueError or SSL.Error if they don't fit."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection gives back 34 KiB
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"multipassd")  # required as soon as a certificate is asked for
    context.set_verify(SSL.VERIFY_PEER, _accept_any)
    context.set_alpn_select_callback(_select_protocol)
    context.use_certificate(
        crypto.X509.from_cryptography(x509.load_pem_x509_certificate(certificate))
    )
    context.use_privatekey(
        crypto.PKey.from_cryptography_key(load_pem_private_key(key, None))  # type: ignore[arg-type]
    )
    context.check_privatekey()
    return context


def _accept_any(*_: object) -> bool:
    return True


def _select_protocol(_: SSL.Connection, offered: list[bytes]) -> bytes:
    if ALPN in offered:
        return ALPN
    raise ValueError("no protocol in common")  # pyOpenSSL answers with a fatal alert


class TlsSession:
    """One server side of TLS over memory buffers."""

    def __init__(self, context: SSL.Context) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_accept_state()
        self.established = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire; return what they decrypt to. Raises TlsError."""
        try:
            self._write_all(data)
            if not self.established and not self._handshake():
                return b""
            return self._read_all()
        except (SSL.Error, ValueError) as error:
            raise TlsError(type(error).__name__) from None

    def send(self, data: bytes) -> None:
        """Encrypt; `outgoing` has the result."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._connection.send(bytes(view[:_READ_SIZE])) :]
        except SSL.Error as error:
            raise TlsError(type(error).__name__) from None

    def outgoing(self) -> bytes:
        """Bytes for the wire."""
        parts = []
        while True:
            try:
                parts.append(self._connection.bio_read(1 << 16))
            except SSL.WantReadError:
                return b"".join(parts)

    def close(self) -> None:
        with suppress(SSL.Error):  # the peer is gone or never finished its handshake
            self._connection.shutdown()

    def peer_certificate(self) -> bytes:
        """DER, or empty."""
        certificate = self._connection.get_peer_certificate()
        if certificate is None:
            return b""
        return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)

    @property
    def speaks_http2(self) -> bool:
        return self._connection.get_alpn_proto_negotiated() == ALPN

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._connection.bio_write(bytes(view)) :]

    def _handshake(self) -> bool:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        self.established = True
        return True

    def _read_all(self) -> bytes:
        parts = []
        while True:
            try:
                parts.append(self._connection.recv(_READ_SIZE))
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                break  # the peer's close_notify; end of file follows
        return b"".join(parts)
