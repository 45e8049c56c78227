"""A TLS server that takes any client, and records what each sends it, certificate included."""

from __future__ import annotations

import socket
import threading

from multipassd.transport import tls
from protocol import certificates
from tests import ports


class Recorder:
    """Listens until it is closed; answers nothing and hangs up once it has heard something."""

    def __init__(self) -> None:
        pair = certificates.make_server(certificates.make_root())
        self._context = tls.TlsContext(pair.certificate, pair.key)
        self._listening = socket.create_server((ports.LOOPBACK, 0))
        self.address = f"{ports.LOOPBACK}:{self._listening.getsockname()[1]}"
        self.heard: list[bytes] = []  # what each connection sent, decrypted
        self.certificates: list[bytes] = []  # of each connection
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                self._record(connection)

    def _record(self, connection: socket.socket) -> None:
        session, heard = tls.TlsSession(self._context), b""
        try:
            while not heard and (data := connection.recv(1 << 16)):
                heard = session.receive(data)
                connection.sendall(session.outgoing())
        except (OSError, tls.TlsError):
            pass  # the client has refused the certificate
        self.heard.append(heard)
        self.certificates.append(session.peer_certificate())
