"""Identify a server by the invitation that was made there, before it is sent anything of it.

The line has the hash of a public key. The server is asked for its root certificates, over a
connection that presents and says nothing; of those, the one with that key verifies all further
connections, each before anything is sent over it.
"""

from __future__ import annotations

import time

from client import certificate, messages, remote_messages
from client.errors import CommandFailed, StatusError, Unverified, UsageError
from client.server import Server
from client.transport.channel import Channel
from client.transport.roots import Roots
from client.transport.server_identity import Unidentified
from protocol import grpc, invitation_line
from protocol.invitation_line import BadLine
from protocol.messages.trust import RootsReply
from protocol.wire_format import DecodeError

ANSWER_WITHIN = 10.0  # seconds; a service answers from memory
MAX_TEXT = 8 * 1024  # characters of certificates; two of RSA's largest common size have 4,000


def identified(server: Server, line: str) -> Server:
    """`server` with the root certificate that the line names. A line of an earlier release and a
    passphrase name none: then a certificate that is known already has to verify it. Raises
    UsageError, CommandFailed."""
    try:
        pin = invitation_line.pin_of(line) if invitation_line.is_line(line) else ""
    except BadLine:
        raise UsageError(remote_messages.LINE_NOT_WHOLE) from None
    if not pin:
        if server.roots.load() is None:
            raise Unverified(messages.UNVERIFIED, remote_messages.no_pin(str(server)))
        return server
    text = _matching(_offered(server), pin)
    if not text:
        raise Unverified(messages.UNVERIFIED, remote_messages.other_server(str(server)))
    roots = Roots.known(text, "the certificate that the invitation names")
    return Server(server.address, roots, server.remote)


def roots_over(channel: Channel) -> str:
    """The root certificates that the service at the other end names; none if they are more than
    any needs. Raises CommandFailed."""
    reply = RootsReply()
    for data in channel.call(grpc.path("roots", grpc.TRUST_SERVICE), b""):
        try:
            reply = RootsReply.decode(data)
        except DecodeError as error:
            raise CommandFailed(messages.UNREADABLE_REPLY, str(error)) from error
    return reply.certificates if len(reply.certificates) <= MAX_TEXT else ""


def blocks(text: str) -> str:
    """The certificates without what is around them; empty if there is none, or too many."""
    from protocol.pem import CERTIFICATE, body_to_der, der_to_pem

    try:
        found = CERTIFICATE.finditer(text.encode("ascii", "replace"))
        data = b"".join(der_to_pem(body_to_der(block["body"])) for block in found)
    except ValueError:
        return ""
    return data.decode() if len(data) <= MAX_TEXT else ""


def _offered(server: Server) -> str:
    """What the server says of itself. Raises Unreachable, Unverified."""
    channel = Channel(Unidentified(server), deadline=time.monotonic() + ANSWER_WITHIN)
    try:
        return roots_over(channel)
    except StatusError:
        hint = remote_messages.says_no_certificate(str(server))
        raise Unverified(messages.UNVERIFIED, hint) from None


def _matching(text: str, pin: str) -> str:
    """The certificates with that key; empty if there is none."""
    certificate.add_site_packages()
    try:
        from protocol import certificates
    except ImportError as error:
        raise CommandFailed(
            remote_messages.cannot_read_certificates(messages.NO_CRYPTOGRAPHY),
            messages.NO_CRYPTOGRAPHY_HINT,
        ) from error
    try:
        found = certificates.public_keys(text.encode("ascii", "replace"))
    except certificates.CertificateError:
        return ""
    return "".join(pem.decode() for pem, key in found if invitation_line.pin(key) == pin)
