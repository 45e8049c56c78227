"""TLS handshakes alone, both ends in memory: what asking for a certificate costs any server."""

import ssl
import statistics
import time
from collections.abc import Callable, Iterator

from benchmarks.place import CLIENT, Place
from benchmarks.report import Row
from multipassd.transport.tls import TlsContext, TlsSession

Step = Callable[[bytes], bytes]  # bytes of the wire in, and out


def rows(place: Place) -> Iterator[Row]:
    """The daemon's side of TLS, which asks for the client's certificate, beside one without."""
    client = _client(place)
    identity = place.sandbox.data / "certificates"
    certificate, key = identity / "localhost.pem", identity / "localhost_key.pem"
    asking = TlsContext(certificate.read_bytes(), key.read_bytes())
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    plain.load_cert_chain(certificate, key)
    plain.set_alpn_protocols(["h2"])
    plain.num_tickets = 0

    def ours() -> Step:
        session = TlsSession(asking)

        def step(data: bytes) -> bytes:
            session.receive(data)
            return session.outgoing()

        return step

    rounds = place.scaled(500, 100)
    asked = _medians(client, ours, rounds)
    unasked = _medians(client, lambda: _plain(plain), rounds)
    yield Row(
        "TLS handshake alone, with a client's certificate",
        "without, both in memory",
        sum(asked) / sum(unasked),
        None,
        f"server+client {asked[0]:.0f}+{asked[1]:.0f} us, "
        f"without {unasked[0]:.0f}+{unasked[1]:.0f} us",
    )


def _client(place: Place) -> ssl.SSLContext:
    sandbox = place.sandbox
    made = ssl.create_default_context(cafile=str(sandbox.root_cert))
    made.set_alpn_protocols(["h2"])
    made.load_cert_chain(sandbox.certificate(CLIENT), sandbox.key(CLIENT))
    return made


def _plain(context: ssl.SSLContext) -> Step:
    arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(arrived, leaving, server_side=True)

    def step(data: bytes) -> bytes:
        arrived.write(data)
        _handshake(session)
        return leaving.read()

    return step


def _handshake(session: ssl.SSLObject) -> None:
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        pass


def _medians(
    context: ssl.SSLContext, serve: Callable[[], Step], rounds: int
) -> tuple[float, float]:
    """Microseconds of the server and of the client."""
    servers, clients = [], []
    for _ in range(rounds):
        arrived, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(arrived, leaving, server_hostname="localhost")
        server, client, step = 0.0, 0.0, serve()
        while True:
            started = time.perf_counter()
            _handshake(session)
            sent = leaving.read()
            client += time.perf_counter() - started
            if not sent:
                break
            started = time.perf_counter()
            answer = step(sent)
            server += time.perf_counter() - started
            arrived.write(answer)
        servers.append(server * 1e6)
        clients.append(client * 1e6)
    return statistics.median(servers), statistics.median(clients)
