"""add: trust certificates from files, standard input or a user's home."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

from multipassd.admin.access import certificate_input, user
from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import apply_socket_mode, described, open_store, say
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.audit.trail import Audit
from multipassd.trust import names
from multipassd.trust.store import TrustStore
from protocol.pem import fingerprint
from protocol.roles import NAMES, Role

HOW = "multipass-trust"


@dataclass(frozen=True)
class Candidate:
    """A certificate to trust, the name to record with it, and the role that was asked for."""

    der: bytes
    name: str
    role: Role | None = None


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "certificates", nargs="*", metavar="CERT.pem", help="a PEM file; - is standard input"
    )
    parser.add_argument("--user", metavar="NAME", help="that user's client; made if there is none")
    parser.add_argument("--name", default="", help="whose certificate it is, as `list` shows")
    parser.add_argument(
        "--role",
        choices=sorted(NAMES),
        help="what the client may do (default: that of the name's other clients, else admin)",
    )
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    if bool(options.certificates) == bool(options.user):
        options.usage_error("name either certificate files (- is standard input) or --user NAME")
    if options.name and (wrong := names.complaint(options.name)):
        raise TrustError(f"Nothing was added. {wrong}")
    role = NAMES.get(options.role)
    candidates = [
        Candidate(der, options.name, role)
        for source in dict.fromkeys(options.certificates)
        for der in certificate_input.read(source)
    ]
    store = open_store(place, options.repair, options.dry_run)
    if options.user:
        found = user.certificates_of(options.user, options.dry_run)
        candidates = [Candidate(der, options.name or options.user, role) for der in found]
    enrol(place, store, candidates, HOW, options.dry_run)
    return DONE


def enrol(
    place: Place, store: TrustStore, candidates: list[Candidate], how: str, dry_run: bool
) -> None:
    """Trust them all, on record and audited, and open the socket. Raises StoreError."""
    audit, by = Audit(store.identity), invoker()
    store.records()  # reads the side file, too
    for each in candidates:
        who = fingerprint(each.der)
        name = each.name or names.of_fingerprint(who)
        shown = described(who, name)
        role = each.role or store.role_of_person(name) or Role.ADMIN
        as_what = "" if role is Role.ADMIN else f" as {role}"
        has = store.role_of(who)
        if has is not None and each.role in (None, has):
            known = described(who, store.name_of(who))
            print(f"{known} is trusted already{'' if has is Role.ADMIN else f' as {has}'}.")
        elif dry_run:
            say(f"Trust {shown}{as_what}.", dry_run)
        elif has is not None:
            store.grant([who], role)
            audit.granted(who, actor(), f"role {role}, by {how}")
            print(f"{described(who, store.name_of(who))} is {role} now.")
        elif store.add(each.der, how, by, name, role=role):
            audit.granted(who, actor(), how)
            counts = "that counts within a second, without a restart"
            print(f"{shown} is trusted now{as_what}; {counts}.")
    if not dry_run:
        apply_socket_mode(place, store)


VERB = Verb("add", "trust a client's certificate", _arguments, _run)
