"""add: trust certificates from files, standard input or a user's home."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from multipassd.admin.access import certificate_input, user
from multipassd.admin.access.locations import Place, invoker
from multipassd.admin.access.store_access import apply_socket_mode, described, open_store, say
from multipassd.admin.access.verb import DONE, Verb, add_repair
from multipassd.auth.audit import Audit
from multipassd.trust.store import TrustStore
from protocol.pem import fingerprint

HOW = "multipass-trust"


@dataclass(frozen=True)
class Candidate:
    """A certificate to trust, and the name to record with it."""

    der: bytes
    name: str


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "certificates", nargs="*", metavar="CERT.pem", help="a PEM file; - is standard input"
    )
    parser.add_argument("--user", metavar="NAME", help="that user's client; made if there is none")
    parser.add_argument("--name", default="", help="what `list` shall call the client")
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    if bool(options.certificates) == bool(options.user):
        options.usage_error("name either certificate files (- is standard input) or --user NAME")
    candidates = [
        Candidate(der, options.name)
        for source in dict.fromkeys(options.certificates)
        for der in certificate_input.read(source)
    ]
    store = open_store(place, options.repair, options.dry_run)
    if options.user:
        found = user.certificates_of(options.user, options.dry_run)
        candidates = [Candidate(der, options.name or options.user) for der in found]
    enrol(place, store, candidates, HOW, options.dry_run)
    return DONE


def enrol(
    place: Place, store: TrustStore, candidates: list[Candidate], how: str, dry_run: bool
) -> None:
    """Trust them all, on record and audited, and open the socket. Raises StoreError."""
    audit, by = Audit(), invoker()
    for each in candidates:
        who = fingerprint(each.der)
        shown = described(who, each.name)
        if store.trusts(who):
            known = next(known for known in store.records() if known.fingerprint == who)
            print(f"{described(who, known.name)} is trusted already.")
        elif dry_run:
            say(f"Trust {shown}.", dry_run)
        elif store.add(each.der, how, by, each.name):
            audit.granted(who, by, how)
            print(f"{shown} is trusted now; that counts within a second, without a restart.")
    if not dry_run:
        apply_socket_mode(place, store)


VERB = Verb("add", "trust a client's certificate", _arguments, _run)
