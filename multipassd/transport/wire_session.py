"""TLS and HTTP/2 of one connection, made at its first byte: bytes of the wire in and out."""

from __future__ import annotations

from multipassd.auth.peer import Peer
from multipassd.certificates.expiry import ends
from multipassd.transport.h2_session import Handler, Link, Session
from multipassd.transport.quota.origin import Caller
from multipassd.transport.tls import TlsContext, TlsSession
from protocol.pem import fingerprint


class Conversation:
    """`decrypt` and `handle` are apart, so that what was received can be done in small pieces."""

    def __init__(self, context: TlsContext, link: Link, handler: Handler) -> None:
        self.session = Session(link, handler)
        self._tls = TlsSession(context)
        self._received = b""  # not decrypted yet
        self._plain = b""  # decrypted, and not handled yet

    def take(self, data: bytes) -> None:
        self._received += data

    @property
    def pending(self) -> bool:
        """Is there something left to decrypt or to handle?"""
        return bool(self._received or self._plain)

    @property
    def established(self) -> bool:
        return self._tls.established

    @property
    def speaks_http2(self) -> bool:
        return self._tls.speaks_http2

    def decrypt(self) -> None:
        """Raises TlsError."""
        if self._received:
            data, self._received = self._received, b""
            self._plain += self._tls.receive(data)

    def handle(self, size: int) -> None:
        """At most `size` bytes of what was decrypted. Raises ProtocolError."""
        if self._plain:
            piece, self._plain = self._plain[:size], self._plain[size:]
            self.session.receive(piece)

    def discard(self) -> None:
        """Nothing more is handled."""
        self._received = self._plain = b""

    def peer(self, caller: Caller) -> Peer:
        """Who it is, as soon as TLS is established."""
        certificate = self._tls.peer_certificate()
        if not certificate:
            return Peer(caller.credentials, b"", "", caller.person, caller.address)
        name, end = fingerprint(certificate), ends(certificate)
        return Peer(caller.credentials, certificate, name, caller.person, caller.address, end)

    def output(self) -> bytes:
        """What both have ready for the wire. Raises TlsError."""
        if data := self.session.data_to_send():
            self._tls.send(data)
        return self._tls.outgoing()

    def last_words(self) -> bytes:
        """TLS's end; nothing can be sent after it."""
        self._tls.close()
        return self._tls.outgoing()
