"""grant: give a person's clients, or one client, another role, whether the service runs or not."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace

from multipassd.admin.access.locations import Place, actor
from multipassd.admin.access.store_access import (
    apply_socket_mode,
    described,
    invitations,
    open_store,
    say,
)
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.audit.trail import Audit
from multipassd.auth import inviting
from multipassd.trust.lock import LastAdmin
from multipassd.trust.store import TrustStore
from protocol.errors import RpcError
from protocol.roles import NAMES, Role, parse


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "client",
        metavar="FINGERPRINT|NAME",
        help="the beginning of its fingerprint, at least 4 digits, or its name, as `list` shows",
    )
    parser.add_argument("role", choices=sorted(NAMES))
    parser.add_argument("--force", action="store_true", help="also if no admin is left then")
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    store = open_store(place, options.repair, options.dry_run)
    role = NAMES[options.role]
    store.records()  # reads the side file, too
    try:
        found = inviting.meant(store, options.client)
        if not found and not _giving_more(place, options.client, role):
            raise inviting.none_found(store, options.client)
        if role is not Role.ADMIN:
            store.keep_an_admin(found, options.force)
        if options.dry_run:
            for each in found:
                say(f"Make {described(each, store.name_of(each))} {role}.", options.dry_run)
            return DONE
        _withdraw(place, options.client, role)
        _grant(store, found, role, options.force)
    except LastAdmin:
        raise TrustError(
            "Nothing was changed: no admin would be left.", "Repeat it with --force to do it."
        ) from None
    except RpcError as error:
        raise TrustError(error.message) from error
    apply_socket_mode(place, store)
    return DONE


def _giving_more(place: Place, who: str, role: Role) -> set[str]:
    """Invitations of the person with a greater role, by their ids. Raises StorageFailed."""
    waiting = invitations(place).waiting(time.time())
    return {each.id for each in waiting if each.name == who and (parse(each.role) or role) > role}


def _withdraw(place: Place, who: str, role: Role) -> None:
    """Raises StorageFailed."""
    if more := _giving_more(place, who, role):
        invitations(place).withdraw(time.time(), ids=more)
        Audit().withdrawn(who, len(more), actor())
        print(f"{len(more)} invitation{'s' if len(more) > 1 else ''} taken back.")


def _grant(store: TrustStore, found: list[str], role: Role, force: bool) -> None:
    """Raises LastAdmin, StoreError."""
    changed = store.grant(found, role, force)
    audit, by = Audit(store.identity), actor()
    for each in found:
        shown = described(each, store.name_of(each))
        if each in changed:
            audit.granted(each, by, f"role {role}, by multipass-trust")
        print(f"{shown} is {role}{' now' if each in changed else ' already'}.")


VERB = Verb("grant", "give a person's clients, or one, another role", _arguments, _run)
