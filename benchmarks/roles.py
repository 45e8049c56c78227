"""Roles and owners: a decision with its look-up among many, and a user's `list` among others'."""

import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from benchmarks.measure import run_seconds, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.report import Goal, Row
from benchmarks.site import Site, site
from benchmarks.trust import certificates
from multipassd.auth.gate import Verdict, decide
from multipassd.auth.peer import AdminRule, Credentials, Peer
from multipassd.auth.standing import Standings
from multipassd.drivers.interface import Driver
from multipassd.instances.collection import Instances
from multipassd.instances.view import View
from multipassd.network.interface import Networking
from multipassd.trust.client_record import ClientRecord, as_event
from multipassd.trust.event_file import encode
from multipassd.trust.state import FirstClient
from multipassd.trust.store import CLIENTS_NAME, NAMES, TrustStore
from protocol.methods import Policy
from protocol.pem import fingerprint, pem_to_der
from protocol.roles import Role
from tests.multipassd.instances.site import Parts
from tools import records
from tools.sandbox import MULTIPASS, Sandbox

CLIENTS, INSTANCES, OWN = 10_000, 1_000, 3
DECISION = Goal(1.3)
LIST = Goal(1.2)
TURNS = 20_000
USER = "bob"


def rows(place: Place) -> Iterator[Row]:
    yield decision_row(place)
    yield list_row(place.scaled(25, 7))


def decision_row(place: Place) -> Row:
    """Beside what it was before there were roles: one admin, any instance by its name."""
    with gate(1, Role.ADMIN) as before, gate(CLIENTS, Role.USER) as now:
        plain, owned = take_turns(place.scaled(15, 5), before, now)
    figures = f"{owned * 1e6:.2f} µs, {plain * 1e6:.2f} µs"
    what = f"gate decision and look-up, {CLIENTS:,} clients, {INSTANCES:,} instances, a user"
    return Row(what, "1 admin", owned / plain, DECISION, figures)


class Gate:
    """Asks for one peer's call on one instance; calling it returns the seconds that it takes."""

    def __init__(self, store: TrustStore, instances: Instances, peer: Peer, role: Role) -> None:
        self._store = store
        self._instances = instances
        self._peer = peer
        self._standings = Standings(store, AdminRule(group=27, own_uid=0))
        self._owned = role is Role.USER

    def __call__(self) -> float:
        return timeit.timeit(self._ask, number=TURNS) / TURNS

    def _ask(self) -> None:
        standing = self._standings.of(self._peer)
        state, first = self._store.state, FirstClient.ADMIN
        policy, peer = Policy.ADOPT_FIRST, self._peer
        verdict = decide(policy, Role.VIEWER, peer, standing, state, first).verdict
        finder = View(self._instances, standing) if self._owned else self._instances
        if verdict is not Verdict.ALLOW or finder.find("bench1").name != "bench1":
            raise RuntimeError("a trusted client was refused")


@contextmanager
def gate(clients: int, role: Role) -> Iterator[Gate]:
    sandbox = Sandbox.create()
    try:
        der = fill(sandbox.root / "store", clients, role)
        store = TrustStore(sandbox.root / "store")
        store.load()
        peer = Peer(Credentials(1000, 1000, 1, frozenset()), der, fingerprint(der))
        if len(store) != clients or store.role_of(peer.fingerprint) is not role:
            raise RuntimeError(f"not all clients are trusted: {store.problems[:3]}")
        put(sandbox, INSTANCES)
        nothing = SimpleNamespace(offers_shares=False)
        registry = records.registry(sandbox)
        driver, network = cast(Driver, nothing), cast(Networking, nothing)
        instances = Instances(registry, Parts(driver, network))
        instances.load()
        yield Gate(store, instances, peer, role)
    finally:
        sandbox.remove()


def fill(directory: Path, clients: int, role: Role) -> bytes:
    """A store with its clients in the files of all roles, on record with names; returns the
    certificate of one with this role, who is called `USER`."""
    directory.mkdir(mode=0o700)
    pems = list(certificates(clients))
    share = {each: pems[number :: len(Role)] for number, each in enumerate(Role)}
    if clients == 1:
        share = {role: pems}
    events = []
    for each, some in share.items():
        path = directory / NAMES[each]
        path.write_bytes(b"".join(some))
        path.chmod(0o600)
        for number, pem in enumerate(some):
            name = f"{each}{number}" if (each, number) != (role, 0) else USER
            record = ClientRecord(fingerprint(pem_to_der(pem)), name, enrolled_at=1.0, role=each)
            events.append(as_event(record))
    events_file = directory / CLIENTS_NAME
    events_file.write_bytes(encode(events))
    events_file.chmod(0o600)
    return pem_to_der(share[role][0])


def list_row(rounds: int) -> Row:
    few, many = Sandbox.create(), Sandbox.create()
    put(few, OWN)
    put(many, INSTANCES)
    command = [str(MULTIPASS), "list"]
    with site(sandbox=few) as little, site(sandbox=many) as lots:
        for target in (little, lots):
            join(target)
        envs = [each.daemon.env(USER) for each in (little, lots)]
        three, own = take_turns(rounds, *(partial(run_seconds, command, env) for env in envs))
    figures = f"{own * 1e3:.1f} ms, {three * 1e3:.1f} ms"
    what = f"`multipass list` of a user with {OWN} of {INSTANCES:,} instances"
    return Row(what, f"{OWN} in all", own / three, LIST, figures)


def put(sandbox: Sandbox, count: int) -> None:
    """The first three are the user's."""
    known = records.registry(sandbox)
    for number in range(count):
        owner = USER if number < OWN else f"{CLIENT}{number}"
        known.put(records.make(f"bench{number}", number, owner=owner))


def join(target: Site) -> None:
    words = target.command("invite", USER, "--role", "user").split()
    line = next(word for word in words if word.startswith("mpi1-"))
    done = target.daemon.cli(USER, "authenticate", line)
    if done.returncode:
        raise RuntimeError(f"the invitation was refused: {done.stderr}")
    listed = target.daemon.cli(USER, "list").stdout
    if len(listed.splitlines()) != OWN + 1:
        raise RuntimeError(f"the user does not see {OWN} instances: {listed}")
