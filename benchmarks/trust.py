"""Cost of a hundred thousand trusted clients: a decision of the gate, and a start."""

import timeit
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from multipassd.auth.gate import Verdict, decide
from multipassd.auth.peer import AdminRule, Credentials, Peer
from multipassd.auth.standing import Standings
from multipassd.trust.state import FirstClient
from multipassd.trust.store import TrustStore
from protocol.certificates import make_client
from protocol.methods import Policy
from protocol.pem import der_to_pem, fingerprint, pem_to_der
from protocol.roles import Role
from tools.daemon import Daemon
from tools.sandbox import Sandbox

MANY = 100_000
DECISION = Goal(1.2)
START = Goal(2.0, unit=" s")
SERIAL_BYTES = 8  # of the random serial number; each value makes another certificate


def certificates(count: int) -> Iterator[bytes]:
    """Distinct certificates in PEM: copies with other serial numbers. No signature is verified."""
    der = pem_to_der(make_client().certificate)
    at = serial_offset(der)
    for number in range(count):
        yield der_to_pem(der[:at] + number.to_bytes(SERIAL_BYTES, "big") + der[at + SERIAL_BYTES :])


def serial_offset(der: bytes) -> int:
    """Where the last bytes of the serial number begin: the first INTEGER behind the version."""
    version = b"\xa0\x03\x02\x01\x02\x02"  # [0] { INTEGER 2 }, then the tag of the serial number
    length = der.index(version) + len(version)
    if der[length] <= SERIAL_BYTES:
        raise ValueError("the serial number is too short to be renumbered")
    return length + 1 + der[length] - SERIAL_BYTES


def rows(place: Place) -> Iterator[Row]:
    many = place.scaled(MANY, MANY // 10)
    yield gate_row(place, many)
    yield start_row(many)


def gate_row(place: Place, many: int) -> Row:
    sandbox = Sandbox.create()
    try:
        few_peer, few = filled(sandbox.root / "few", 1)
        many_peer, lots = filled(sandbox.root / "many", many)
    finally:
        sandbox.remove()
    admins = AdminRule(group=27, own_uid=0)

    def seconds(peer: Peer, store: TrustStore) -> float:
        standings = Standings(store, admins)

        def ask() -> Verdict:
            standing = standings.of(peer)
            state, first = store.state, FirstClient.ADMIN
            return decide(Policy.ADOPT_FIRST, Role.VIEWER, peer, standing, state, first).verdict

        if ask() is not Verdict.ALLOW:
            raise RuntimeError("a trusted client was refused")
        turns = 20_000
        taken = timeit.timeit(ask, number=turns)
        return taken / turns

    with_few, with_many = take_turns(
        place.scaled(15, 5), lambda: seconds(few_peer, few), lambda: seconds(many_peer, lots)
    )
    figures = f"{with_many * 1e6:.2f} µs, {with_few * 1e6:.2f} µs"
    what = f"gate decision with {many:,} trusted clients"
    return Row(what, "with 1", with_many / with_few, DECISION, figures)


def filled(directory: Path, count: int) -> tuple[Peer, TrustStore]:
    """A store with ``count`` clients, and the one in the middle of them as a peer."""
    directory.mkdir(mode=0o700)
    pems = list(certificates(count))
    store = TrustStore(directory)
    store.path.write_bytes(b"".join(pems))
    store.path.chmod(0o600)
    store.load()
    if len(store) != count:
        raise RuntimeError(f"{len(store)} of {count} clients are trusted: {store.problems[:3]}")
    der = pem_to_der(pems[count // 2])
    return Peer(Credentials(1000, 1000, 1, frozenset()), der, fingerprint(der)), store


def start_row(many: int) -> Row:
    sandbox = Sandbox.create()
    daemon = Daemon(sandbox)
    try:
        daemon.start()
        if daemon.cli(CLIENT, "list").returncode:
            raise RuntimeError("the first client was refused")
        daemon.stop()
        with daemon.store_path.open("ab") as store:
            store.writelines(certificates(many))
        times = []
        for _ in range(3):
            daemon.start()
            times.append(daemon.ready_seconds)
            if daemon.cli(CLIENT, "list").returncode:
                raise RuntimeError("the first client is no longer trusted")
            daemon.stop()
    finally:
        sandbox.remove()
    what = f"start with {many:,} trusted clients"
    figures = "of " + ", ".join(f"{each:.2f} s" for each in times)
    return Row(what, "-", sorted(times)[1], START, figures)
