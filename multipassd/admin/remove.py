"""remove: trust a client no longer, at once, also on connections that are open."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace

from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import (
    apply_socket_mode,
    described,
    open_store,
    say,
    way_in,
)
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.audit.trail import Audit
from multipassd.system import installation
from multipassd.trust.client_record import BY_HAND, ClientRecord
from multipassd.trust.state import TrustState
from protocol.roles import Role

PREFIX = re.compile(r"[0-9a-f]{4,64}")  # fewer digits are as likely a slip as a choice


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
    record = _choose(store.records(), options.client)
    shown = described(record.fingerprint, record.name)
    if options.dry_run:
        say(f"Remove {shown}.", options.dry_run)
        return DONE
    by = invoker()
    if not store.remove(record.fingerprint, by):
        raise TrustError(f"{shown} was not trusted any more: another process removed it.")
    audit = Audit(store.identity)
    audit.removed(record.fingerprint, actor(), (record.name, str(record.role)))
    audit.by_hand(*store.take_changes(), BY_HAND)
    apply_socket_mode(place, store)
    print(f"{shown} is no longer trusted.")
    if store.state is TrustState.EMPTY and record.role is Role.ADMIN:
        print(f"That was the last one: {way_in(place)}.")
    return DONE


def _choose(records: list[ClientRecord], wanted: str) -> ClientRecord:
    """Raises TrustError unless exactly one is meant."""
    start = wanted.lower().replace(":", "")
    digits = bool(PREFIX.fullmatch(start))
    found = [
        each
        for each in records
        if (wanted and each.name == wanted) or (digits and each.fingerprint.startswith(start))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise TrustError(
            f"No trusted client has the name or the beginning of a fingerprint {wanted!r}. "
            f"`{installation.here().trust} list` shows all; at least 4 digits are needed."
        )
    candidates = "\n".join(f"  {each.fingerprint}  {each.name}".rstrip() for each in found)
    raise TrustError(f"{wanted!r} fits {len(found)} clients, so none was removed:\n{candidates}")


VERB = Verb("remove", "trust a client no longer", _arguments, _run)
