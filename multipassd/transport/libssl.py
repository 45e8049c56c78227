"""The functions of OpenSSL 3 that the server side of TLS needs, by ctypes.

It is the libssl that Python's own `ssl` loads, so it takes no memory of its own, and is updated
with the system. Names, types and constants are those of OpenSSL's manual pages and headers, which
are part of its stable interface.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_long, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

# From ssl.h, tls1.h and bio.h.
CTRL_MODE = 33  # SSL_CTX_set_mode is a macro around SSL_CTX_ctrl, as are the next two
CTRL_SESSION_CACHE_MODE = 44
CTRL_MIN_PROTOCOL = 123
TLS1_2 = 0x0303
MODE_ENABLE_PARTIAL_WRITE = 0x1
MODE_MOVING_WRITE_BUFFER = 0x2
MODE_RELEASE_BUFFERS = 0x10
OP_NO_TICKET = 1 << 14
OP_NO_COMPRESSION = 1 << 17
OP_NO_RENEGOTIATION = 1 << 30
SESSION_CACHE_OFF = 0
VERIFY_PEER = 0x1
ERROR_WANT_READ = 2
ERROR_ZERO_RETURN = 6
ALPN_OK, ALPN_FATAL = 0, 2

# PYFUNCTYPE and PyDLL keep the interpreter's lock: no call here waits for anything, and to give the
# lock away and take it again would cost more than most of them.
VERIFY_CALLBACK = ctypes.PYFUNCTYPE(c_int, c_void_p, c_void_p)
ALPN_CALLBACK = ctypes.PYFUNCTYPE(
    c_int, c_void_p, POINTER(c_void_p), POINTER(c_ubyte), c_void_p, c_uint, c_void_p
)

_BYTES = c_char_p  # for reading only, with a length beside it
_BUFFER = c_void_p

# Each by its result and its arguments. `None` is C's void.
_SSL: dict[str, tuple[Any, ...]] = {
    "TLS_server_method": (c_void_p,),
    "SSL_CTX_new": (c_void_p, c_void_p),
    "SSL_CTX_free": (None, c_void_p),
    "SSL_CTX_ctrl": (c_long, c_void_p, c_int, c_long, c_void_p),
    "SSL_CTX_set_options": (c_uint64, c_void_p, c_uint64),
    "SSL_CTX_set_num_tickets": (c_int, c_void_p, c_size_t),
    "SSL_CTX_set_session_id_context": (c_int, c_void_p, _BYTES, c_uint),
    "SSL_CTX_set_verify": (None, c_void_p, c_int, c_void_p),
    "SSL_CTX_set_cert_verify_callback": (None, c_void_p, VERIFY_CALLBACK, c_void_p),
    "SSL_CTX_set_alpn_select_cb": (None, c_void_p, ALPN_CALLBACK, c_void_p),
    "SSL_CTX_use_certificate": (c_int, c_void_p, c_void_p),
    "SSL_CTX_use_PrivateKey": (c_int, c_void_p, c_void_p),
    "SSL_CTX_check_private_key": (c_int, c_void_p),
    "SSL_new": (c_void_p, c_void_p),
    "SSL_free": (None, c_void_p),
    "SSL_set_bio": (None, c_void_p, c_void_p, c_void_p),
    "SSL_set_accept_state": (None, c_void_p),
    "SSL_do_handshake": (c_int, c_void_p),
    "SSL_read": (c_int, c_void_p, _BUFFER, c_int),
    "SSL_write": (c_int, c_void_p, _BYTES, c_int),
    "SSL_shutdown": (c_int, c_void_p),
    "SSL_get_error": (c_int, c_void_p, c_int),
    "SSL_get1_peer_certificate": (c_void_p, c_void_p),
    "SSL_get0_alpn_selected": (None, c_void_p, POINTER(c_void_p), POINTER(c_uint)),
}
_CRYPTO: dict[str, tuple[Any, ...]] = {
    "BIO_new": (c_void_p, c_void_p),
    "BIO_s_mem": (c_void_p,),
    "BIO_new_mem_buf": (c_void_p, _BYTES, c_int),
    "BIO_free": (c_int, c_void_p),
    "BIO_read": (c_int, c_void_p, _BUFFER, c_int),
    "BIO_write": (c_int, c_void_p, _BYTES, c_int),
    "BIO_ctrl_pending": (c_size_t, c_void_p),
    "PEM_read_bio_X509": (c_void_p, c_void_p, c_void_p, c_void_p, _BYTES),
    "PEM_read_bio_PrivateKey": (c_void_p, c_void_p, c_void_p, c_void_p, _BYTES),
    "X509_free": (None, c_void_p),
    "EVP_PKEY_free": (None, c_void_p),
    "i2d_X509": (c_int, c_void_p, c_void_p),
    "ERR_clear_error": (None,),
    "ERR_get_error": (ctypes.c_ulong,),
    "ERR_reason_error_string": (c_char_p, ctypes.c_ulong),
}


def _opened(file: str, functions: dict[str, tuple[Any, ...]]) -> ctypes.PyDLL:
    """The library, its functions typed. Raises OSError where it is missing."""
    library = ctypes.PyDLL(file)
    for name, (result, *arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


ssl = _opened("libssl.so.3", _SSL)
crypto = _opened("libcrypto.so.3", _CRYPTO)


def reason() -> str:
    """Why the last call of this thread failed, in OpenSSL's words; empties its queue of errors."""
    text = crypto.ERR_reason_error_string(crypto.ERR_get_error())
    crypto.ERR_clear_error()
    return text.decode("ascii", "replace") if text else "unknown"
