"""TLS as bytes in, bytes out: asks for the client's certificate and verifies nothing. Pure.

The gate decides by the certificate's fingerprint; the handshake only proves that the caller holds
its key. The standard library's ssl can't ask without verifying, so this calls OpenSSL itself.
"""

from __future__ import annotations

from ctypes import addressof, byref, c_uint, c_void_p, create_string_buffer, string_at
from typing import Any

from multipassd.transport import libssl
from multipassd.transport.libssl import crypto, ssl

ALPN = b"h2"
LARGEST_RECORD = 16384  # bytes of plain text; what is sent together is cut into such pieces
_OPTIONS = libssl.OP_NO_COMPRESSION | libssl.OP_NO_TICKET | libssl.OP_NO_RENEGOTIATION
_MODES = (
    libssl.MODE_RELEASE_BUFFERS  # an idle connection gives back 34 KiB
    | libssl.MODE_ENABLE_PARTIAL_WRITE
    | libssl.MODE_MOVING_WRITE_BUFFER
)
_SESSION_CONTEXT = b"multipassd"  # required as soon as a certificate is asked for


_NO_PASSPHRASE = b""  # without one OpenSSL would ask for it at the terminal


class TlsError(Exception):
    """The peer's bytes are no TLS of ours; the connection ends."""


class TlsContext:
    """What all sessions share: the server's certificate and key, the versions, what is refused.

    OpenSSL counts its references: sessions go on when the context is replaced.
    """

    def __init__(self, certificate: bytes, key: bytes) -> None:
        """Both PEM. Raises ValueError where they are unusable or don't fit each other."""
        self._free = ssl.SSL_CTX_free  # there is no module any more as the interpreter ends
        self.handle = ssl.SSL_CTX_new(ssl.TLS_server_method())
        if not self.handle:
            raise MemoryError(libssl.reason())
        ssl.SSL_CTX_ctrl(self.handle, libssl.CTRL_MIN_PROTOCOL, libssl.TLS1_2, None)
        ssl.SSL_CTX_ctrl(self.handle, libssl.CTRL_MODE, _MODES, None)
        ssl.SSL_CTX_ctrl(
            self.handle, libssl.CTRL_SESSION_CACHE_MODE, libssl.SESSION_CACHE_OFF, None
        )
        ssl.SSL_CTX_set_options(self.handle, _OPTIONS)
        ssl.SSL_CTX_set_num_tickets(self.handle, 0)  # no session is ever resumed
        ssl.SSL_CTX_set_session_id_context(self.handle, _SESSION_CONTEXT, len(_SESSION_CONTEXT))
        ssl.SSL_CTX_set_verify(self.handle, libssl.VERIFY_PEER, None)
        ssl.SSL_CTX_set_cert_verify_callback(self.handle, _ACCEPT_ANY, None)
        ssl.SSL_CTX_set_alpn_select_cb(self.handle, _SELECT_PROTOCOL, None)
        self._use(crypto.PEM_read_bio_X509, certificate, ssl.SSL_CTX_use_certificate, "X509_free")
        self._use(crypto.PEM_read_bio_PrivateKey, key, ssl.SSL_CTX_use_PrivateKey, "EVP_PKEY_free")
        if ssl.SSL_CTX_check_private_key(self.handle) != 1:
            raise ValueError(f"the server's key does not fit: {libssl.reason()}")

    def __del__(self) -> None:
        if self.handle:
            self._free(self.handle)

    def _use(self, read: Any, pem: bytes, use: Any, free: str) -> None:
        """Read it from PEM, and make it the context's, which keeps a reference of its own."""
        text = crypto.BIO_new_mem_buf(pem, len(pem))
        try:
            found = read(text, None, None, _NO_PASSPHRASE)
        finally:
            crypto.BIO_free(text)
        if not found:
            raise ValueError(f"the server's certificate or key is unusable: {libssl.reason()}")
        used = use(self.handle, found)
        getattr(crypto, free)(found)
        if used != 1:
            raise ValueError(f"the server's certificate or key is refused: {libssl.reason()}")


def _accept_any(*_: object) -> int:
    return 1


def _select_protocol(
    _: object, chosen: Any, size: Any, offered: int, length: int, __: object
) -> int:
    """Without HTTP/2 among what the client offers, the handshake ends with an alert."""
    offers, at = string_at(offered, length), 0
    while at < length:
        end = at + 1 + offers[at]
        if offers[at + 1 : end] == ALPN:
            chosen[0], size[0] = addressof(_CHOSEN), len(ALPN)
            return libssl.ALPN_OK
        at = end
    return libssl.ALPN_FATAL


_CHOSEN = create_string_buffer(ALPN, len(ALPN))  # OpenSSL reads it after the callback
# OpenSSL calls them as long as there is a context.
_ACCEPT_ANY = libssl.VERIFY_CALLBACK(_accept_any)
_SELECT_PROTOCOL = libssl.ALPN_CALLBACK(_select_protocol)


# What OpenSSL reads to, and is copied from at once. A buffer of each size would be a class of
# ctypes each, made and collected again: 10 us a message.
_BUFFER = create_string_buffer(LARGEST_RECORD)


class TlsSession:
    """One server side of TLS over memory buffers. All are for the same thread."""

    def __init__(self, context: TlsContext) -> None:
        self._free = ssl.SSL_free
        self._session = ssl.SSL_new(context.handle)
        if not self._session:
            raise MemoryError(libssl.reason())
        self._in = crypto.BIO_new(crypto.BIO_s_mem())
        self._out = crypto.BIO_new(crypto.BIO_s_mem())
        ssl.SSL_set_bio(self._session, self._in, self._out)  # which are the session's from now on
        ssl.SSL_set_accept_state(self._session)
        self.established = False

    def __del__(self) -> None:
        if self._session:
            self._free(self._session)

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the wire; return what they decrypt to. Raises TlsError."""
        if data and crypto.BIO_write(self._in, data, len(data)) != len(data):
            raise MemoryError("OpenSSL has no memory for what was received")
        crypto.ERR_clear_error()  # SSL_get_error would take an older entry for this call's
        if not self.established and not self._handshake():
            return b""
        return self._read_all()

    def send(self, data: bytes) -> None:
        """Encrypt; `outgoing` has the result. Raises TlsError."""
        crypto.ERR_clear_error()
        for start in range(0, len(data), LARGEST_RECORD):
            piece = data[start : start + LARGEST_RECORD]
            # Into memory, so that all of it is taken or nothing.
            if ssl.SSL_write(self._session, piece, len(piece)) != len(piece):
                raise TlsError(libssl.reason())

    def outgoing(self) -> bytes:
        """Bytes for the wire."""
        parts = []
        while crypto.BIO_ctrl_pending(self._out):
            size = crypto.BIO_read(self._out, _BUFFER, LARGEST_RECORD)
            parts.append(string_at(_BUFFER, size))
        return b"".join(parts)

    def close(self) -> None:
        ssl.SSL_shutdown(self._session)  # fails where the handshake did; the peer may be gone, too
        crypto.ERR_clear_error()

    def peer_certificate(self) -> bytes:
        """DER, or empty."""
        certificate = ssl.SSL_get1_peer_certificate(self._session)
        if not certificate:
            return b""
        try:
            buffer = create_string_buffer(crypto.i2d_X509(certificate, None))
            crypto.i2d_X509(certificate, byref(c_void_p(addressof(buffer))))
        finally:
            crypto.X509_free(certificate)
        return buffer.raw

    @property
    def speaks_http2(self) -> bool:
        chosen, size = c_void_p(), c_uint()
        ssl.SSL_get0_alpn_selected(self._session, byref(chosen), byref(size))
        return bool(chosen) and string_at(chosen, size.value) == ALPN

    def _handshake(self) -> bool:
        result = ssl.SSL_do_handshake(self._session)
        if result == 1:
            self.established = True
        elif ssl.SSL_get_error(self._session, result) != libssl.ERROR_WANT_READ:
            raise TlsError(libssl.reason())
        return self.established

    def _read_all(self) -> bytes:
        parts = []
        while (result := ssl.SSL_read(self._session, _BUFFER, LARGEST_RECORD)) > 0:
            parts.append(string_at(_BUFFER, result))
        error = ssl.SSL_get_error(self._session, result)
        # After the peer's close_notify the end of the file follows.
        if error not in (libssl.ERROR_WANT_READ, libssl.ERROR_ZERO_RETURN):
            raise TlsError(libssl.reason())
        return b"".join(parts)
