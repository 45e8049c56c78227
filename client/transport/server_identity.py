"""Connect to the service and verify its identity.

Over a Unix socket the kernel names the user who listens: root and this user are accepted, with a
warning if the certificate does not verify. All others, and every peer over TCP, must have a
certificate that verifies for `localhost`.
"""

from __future__ import annotations

import posix

from client import certificate, messages
from client.errors import CommandFailed, HungUp, Unverified
from client.transport import dial
from protocol.addresses import UnixAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from client.server import Server
    from client.transport.sockets import Socket
    from client.transport.tls import SSLContext, Stream

ROOT = 0


class Peer:
    """Makes connections to one server; presents `identity` if there is one.

    `identity` is the certificate that was presented last, so that which an accepted call was
    accepted by.
    """

    def __init__(
        self,
        server: Server,
        identity: tuple[str, str] | None,
        warn: Callable[[str], None],
        alone: bool = False,
    ) -> None:
        """`alone`: no other certificate is presented where this one is refused."""
        self.connected = False  # was a connection ever made?
        self.server = server
        self._address = server.address
        self.identity = identity
        self._first = identity
        self._alone = alone
        self._others: Iterator[tuple[str, str]] | None = None
        self._stamp = 0, 0  # of the first, as it was presented
        self._warn = warn
        self._warned = False

    def connect(self) -> Stream:
        """Raises Unreachable, AccessDenied, Unverified, CommandFailed."""
        socket = dial.dial(self.server)
        try:
            uid = self._listener(socket)
            if uid is None or not _is_own(uid):
                return self._connect_stranger(socket, uid)
            stream = self._connect_own(socket)
            return stream if stream is not None else self._connect_unverified()
        except BaseException:
            socket.close()
            raise

    def present_another(self) -> bool:
        """After a refusal: present another certificate of this client from the next connection on.
        False if there is none left; then it is the first again."""
        if self._first is None or self._alone:
            return False
        if self._others is None:
            self._others = certificate.others(self._first, self._stamp)
        following = next(self._others, None)
        self.identity = following or self._first
        return following is not None

    def check(self) -> None:
        """Raises Unverified if the peer's identity can't be verified."""
        socket = dial.dial(self.server)
        try:
            uid = self._listener(socket)
        finally:
            socket.close()
        if uid is None or not _is_own(uid):
            self.connect().close()

    def _listener(self, socket: Socket) -> int | None:
        """The uid of the listening process; None over a network."""
        if not isinstance(self._address, UnixAddress):
            return None
        return dial.listener(socket)

    def _connect_own(self, socket: Socket) -> Stream | None:
        """None if the certificate does not verify; the connection can't be used then."""
        pem = self.server.roots.load()
        if pem is None:
            stream = self._handshake(socket, None)
            # A service that this connection started has created it by now.
            if self.server.roots.load() is None:
                self._warn_once(messages.warn_no_root_certificate(str(self.server.roots)))
            return stream
        try:
            return self._handshake(socket, pem)
        except _NotVerified as error:
            where = str(self.server.roots)
            self._warn_once(messages.warn_stale_root_certificate(where, error.why))
            return None

    def _connect_unverified(self) -> Stream:
        socket = dial.dial(self.server)
        uid = self._listener(socket)
        if uid is None or not _is_own(uid):  # another user took over the socket
            socket.close()
            raise Unverified(messages.UNVERIFIED, messages.socket_of_stranger(uid or 0, ""))
        return self._handshake(socket, None)

    def _connect_stranger(self, socket: Socket, uid: int | None) -> Stream:
        server = self.server
        owners = None if uid is None else frozenset((ROOT, posix.geteuid()))
        pem = self.server.roots.load(owners)
        if pem is None:
            raise _unverified(uid, messages.no_root_certificate(str(server), str(server.roots)))
        try:
            return self._handshake(socket, pem)
        except _NotVerified as error:
            hint = messages.server_not_verified(server, error.why)
            raise _unverified(uid, hint) from None

    def _handshake(self, socket: Socket, pem: str | None) -> Stream:
        """Raises _NotVerified, HungUp, Unreachable, CommandFailed."""
        # Loaded late: the service accepts the connection during that, and a command that finds no
        # service needs none of it.
        from client.transport import tls

        try:
            context = tls.make_context(pem)
        except tls.SSLError as error:
            raise _NotVerified(_reason(error)) from None
        if self.identity is not None:
            if self.identity is self._first:
                self._stamp = certificate.stamp(self.identity)  # before: what is read may be newer
            self._present(context, self.identity)
        try:
            stream = tls.connect(context, socket, _load_the_rest)
        except tls.SSLCertVerificationError as error:
            raise _NotVerified(error.verify_message) from None
        except tls.HUNG_UP as error:
            raise HungUp(messages.CONNECTION_LOST, messages.LOST_HINT) from error
        except tls.SSLError as error:
            raise CommandFailed(
                messages.PROTOCOL_BROKEN, messages.foreign_answer(_reason(error))
            ) from error
        except OSError as error:
            raise dial.failure(self.server, error) from error
        self.connected = True
        return stream

    def _present(self, context: SSLContext, identity: tuple[str, str]) -> None:
        from client.transport import tls

        certificate, key = identity
        try:
            tls.present(context, certificate, key)
        except OSError as error:  # SSLError is one
            why = error.strerror if error.errno and error.strerror else _reason(error)
            raise CommandFailed(
                messages.bad_certificate(certificate, why),
                messages.bad_certificate_hint(certificate.rpartition("/")[0]),
            ) from error

    def _warn_once(self, warning: str) -> None:
        if not self._warned:
            self._warn(warning)
            self._warned = True


class Unidentified(Peer):
    """A server whose certificate is not known yet: for a call that says nothing to it."""

    def __init__(self, server: Server) -> None:
        super().__init__(server, None, _ignore)

    def connect(self) -> Stream:
        """Verifies nothing, and presents no certificate. Raises Unreachable, CommandFailed."""
        return self._handshake(dial.dial(self.server), None)


def _ignore(_: str) -> None:
    return


class _NotVerified(Exception):
    """The server's certificate does not verify, or the root certificate is invalid."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def _load_the_rest() -> None:
    """What the call needs after the handshake."""
    import client.transport.exchange  # noqa: F401


def _is_own(uid: int) -> bool:
    return uid in (ROOT, posix.geteuid())


def _unverified(uid: int | None, hint: str) -> Unverified:
    if uid is not None:
        hint = messages.socket_of_stranger(uid, hint)
    return Unverified(messages.UNVERIFIED, hint)


def _reason(error: OSError) -> str:
    """OpenSSL's reason without the library's file and line."""
    reason = getattr(error, "reason", None)
    return str(reason).replace("_", " ").lower() if reason else str(error)
