"""first-client: whether the first client from root or the admin group is let in by its first call.

It is the setting `local.first-client`. `multipass set` needs a trusted client, so before there is
one it would make one; this changes the file alone, also before the service has ever run.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from multipassd.admin.access.locations import Place, actor
from multipassd.admin.access.store_access import apply_socket_mode, say
from multipassd.admin.access.verb import DONE, TrustError, Verb
from multipassd.audit.trail import Audit
from multipassd.settings.settings import Settings
from multipassd.settings.values import FIRST_CLIENTS
from protocol.errors import RpcError
from protocol.settings import FIRST_CLIENT


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("becomes", nargs="?", choices=FIRST_CLIENTS, help="without it: show it")


def _run(place: Place, options: Namespace) -> int:
    settings = Settings(place.settings, place.owner)
    if options.becomes is None:
        print(settings.first_client().value)
        return DONE
    if options.dry_run:
        say(f"Set {FIRST_CLIENT}={options.becomes}.", options.dry_run)
        return DONE
    try:
        settings.set(FIRST_CLIENT, options.becomes)
    except RpcError as error:
        raise TrustError(error.message) from error
    Audit().changed(FIRST_CLIENT, actor())
    apply_socket_mode(place, place.store(change=False))
    print(f"{FIRST_CLIENT} is {options.becomes} now; that counts within a second.")
    return DONE


VERB = Verb("first-client", "show or set what the first client becomes", _arguments, _run)
