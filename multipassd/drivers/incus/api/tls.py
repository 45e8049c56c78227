"""TLS to members of an Incus cluster: the pinned certificate alone counts, not its name or dates.

A pin says more than an authority would, and an end or a host's clock that is wrong must not keep
the daemon from its instances.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import ssl
from asyncio import sslproto
from contextlib import suppress
from pathlib import Path

from multipassd.drivers.incus.api import addresses
from multipassd.drivers.incus.api.errors import IncusError, Unreachable, shown
from multipassd.drivers.incus.api.membership import CERTIFICATE, KEY, SERVER, MembershipDamaged

CONNECT_SECONDS = 3.0  # to connect and shake hands: a member that is off must not hold up a call
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's ssl has no name for.
_NO_CHECK_TIME = 0x200000

# The daemon loads asyncio without `ssl` (bin/multipassd), as its own side of TLS needs none of it.
if getattr(sslproto, "ssl", None) is None:
    importlib.reload(sslproto)


def context(credentials: Path) -> ssl.SSLContext:
    """With our certificate. Raises MembershipDamaged."""
    made = _plain_context()
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VerifyFlags(_NO_CHECK_TIME)
    try:
        made.load_verify_locations(cafile=credentials / SERVER)
        made.load_cert_chain(credentials / CERTIFICATE, credentials / KEY)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise MembershipDamaged(
            f"The certificates in {credentials} can't be used: {shown(error)}. Join the Incus "
            "cluster again with `multipass set local.incus.token`."
        ) from None
    return made


def _plain_context() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = False  # members' certificates name their hosts, or nothing that is used
    return made


class Impostor(IncusError):
    """What answers at an address has another certificate than the token names."""


async def pinned_certificate(address: str, fingerprint: str) -> bytes:
    """The certificate, PEM, of the server at an address, after a handshake in which nothing of ours
    is sent. Raises Unreachable, Impostor."""
    found = await _certificate(address)
    if hashlib.sha256(found).hexdigest() != fingerprint:
        raise Impostor(
            f"The server at {address} is not the one that the token is of: its certificate has "
            "another fingerprint. Nothing was sent to it."
        )
    return ssl.DER_cert_to_PEM_cert(found).encode("ascii")


async def _certificate(address: str) -> bytes:
    parts = addresses.read(address)
    assert parts is not None, address  # a token's addresses have been checked
    unverified = _plain_context()
    unverified.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(*parts, ssl=unverified)
    except (OSError, ValueError) as error:  # TimeoutError, SSLError; ValueError: a bad host name
        raise Unreachable(f"{address}: {why(error)}", why(error)) from None
    try:
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
        with suppress(OSError, TimeoutError):
            await writer.wait_closed()
    if not isinstance(der, bytes):
        raise Unreachable(f"{address}: it shows no certificate", "it shows no certificate")
    return der


def why(error: BaseException) -> str:
    """Why a connection could not be made, for a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "its certificate is not the pinned one; if it was replaced, as `incus cluster enable` "
            "does, a new token for local.incus.token joins anew, and instances are there again"
        )
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_SECONDS:.0f} s"
    return shown(getattr(error, "strerror", None) or error or type(error).__name__)
