"""remove: trust a person's clients, or one client, no longer, at once, also on connections that are
open; and take the person's invitations back.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace

from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import (
    apply_socket_mode,
    described,
    invitations,
    open_store,
    say,
    way_in,
)
from multipassd.admin.access.verb import DONE, FAILED, TrustError, Verb, add_repair
from multipassd.audit.trail import Audit
from multipassd.auth import inviting
from multipassd.auth.inviting import Revocable
from multipassd.system import installation
from multipassd.trust.client_record import BY_HAND
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol.errors import RpcError


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "client",
        metavar="FINGERPRINT|NAME",
        help="the beginning of its fingerprint, at least 4 digits, or its name, as `list` shows",
    )
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    store = open_store(place, options.repair, options.dry_run)
    if place.state(store) is TrustState.DAMAGED:  # it would be read after a repair, not before
        say(f"Remove {options.client}, if that is trusted.", options.dry_run)
        return DONE
    found = _find(place, store, options.client)
    _announce(store, found, options.client, options.dry_run)
    if options.dry_run:
        return DONE
    try:
        found = inviting.take_back(store, invitations(place), options.client, time.time())
    except RpcError as error:
        raise TrustError(error.message) from error
    _remove(store, found.clients)
    if found.invitations:
        count = len(found.invitations)
        Audit().withdrawn(options.client, count, actor())
        print(f"{count} invitation{'s' if count > 1 else ''} taken back.")
    apply_socket_mode(place, store)
    if store.state is TrustState.EMPTY and found.clients:
        print(f"That was the last {'admin' if store.fingerprints() else 'one'}: {way_in(place)}.")
    if found.problem:
        print(found.problem, file=sys.stderr)
        return FAILED
    return DONE


def _find(place: Place, store: TrustStore, wanted: str) -> Revocable:
    """Raises TrustError unless it is a person, or exactly one client."""
    try:
        found = inviting.revocable(store, invitations(place), wanted, time.time())
    except RpcError as error:
        raise TrustError(error.message) from error
    if found.clients or found.invitations:
        return found
    raise TrustError(
        f"No trusted client has the name or the beginning of a fingerprint {wanted!r}, and no "
        f"invitation that name. `{installation.here().trust} list` shows all; at least 4 digits "
        f"are needed. {found.problem}".rstrip()
    )


def _announce(store: TrustStore, found: Revocable, wanted: str, dry_run: bool) -> None:
    if dry_run:
        for each in found.clients:
            say(f"Remove {described(each, store.name_of(each))}.", dry_run)
        for invitation in found.invitations:
            say(f"Take an invitation of {invitation.name} back.", dry_run)
    elif len(found.clients) > 1:
        print(f"{wanted} has {len(found.clients)} clients, which are all removed:")
        for each in found.clients:
            print(f"  {each}")


def _remove(store: TrustStore, clients: list[str]) -> None:
    """Raises StoreError; TrustError where they are gone already."""
    was = {each: store.identity(each) for each in clients}
    removed = store.revoke(clients, invoker(), force=True)
    audit, by = Audit(store.identity), actor()
    for each in removed:
        audit.removed(each, by, was[each])
    audit.by_hand(*store.take_changes(), BY_HAND)
    for each in clients:
        shown = described(each, was[each][0])
        if each not in removed:
            raise TrustError(f"{shown} was not trusted any more: another process removed it.")
        print(f"{shown} is no longer trusted.")


VERB = Verb("remove", "trust a person's clients, or one, no longer", _arguments, _run)
