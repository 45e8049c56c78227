"""invite: make a line that lets one client in, once, whether the service runs or not."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import first_client, invitations, open_store, say
from multipassd.admin.access.verb import DONE, JSON, TrustError, Verb, add_repair
from multipassd.audit.trail import Audit
from multipassd.auth import inviting
from multipassd.auth.inviting import ONLY_ADMINS, Wish
from multipassd.certificates import server_certificate
from multipassd.system.files import read_regular
from multipassd.trust import names
from protocol import durations
from protocol.errors import RpcError
from protocol.roles import NAMES

DEFAULT = "1h"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="whose client it lets in")
    parser.add_argument(
        "--role",
        choices=sorted(NAMES),
        help="what the client may do (default: that of the name's other clients, else viewer)",
    )
    parser.add_argument(
        "--expires",
        type=_seconds,
        default=DEFAULT,
        metavar="TIME",
        help=f"how long the line is good, as 30m, 1h or 7d (default: {DEFAULT})",
    )
    add_repair(parser)


def _seconds(text: str) -> int:
    found = durations.seconds(text)
    if found is None:
        raise ArgumentTypeError("it is a number with a unit of time, for example 30m, 1h or 7d")
    return found


def _run(place: Place, options: Namespace) -> int:
    store = open_store(place, options.repair, options.dry_run)
    if options.dry_run:
        say(f"Invite {options.name!r}.", options.dry_run)
        return DONE
    store.records()  # reads the side file, too
    wish = Wish(options.name, NAMES.get(options.role), options.expires)
    by = names.of_user(invoker()) or names.ROOT
    try:
        made = inviting.invite(
            store, invitations(place), wish, by, time.time(), first_client(place)
        )
    except RpcError as error:
        raise TrustError(error.message) from error
    Audit().invited(wish.name, str(made.role), actor())
    line = inviting.for_service(made.line, _root(place))
    options.document |= {
        "name": wish.name,
        "role": str(made.role),
        "expires": int(made.expires),
        "line": line,
        "command": f"multipass authenticate {line}",
        "remote_command": None,
        "note": ONLY_ADMINS if made.closed else "",
    }
    if options.format == JSON:
        return DONE
    until = time.strftime("%Y-%m-%d %H:%M", time.gmtime(made.expires))
    print(f"{wish.name} is let in once, as {made.role}, until {until} UTC, by this command:\n")
    print(f"  multipass authenticate {line}\n")
    print("Any person who has the line can use it. It is shown only now.")
    if made.closed:
        print(ONLY_ADMINS)
    return DONE


def _root(place: Place) -> bytes:
    """The service's root certificate; empty before its first start has made it."""
    try:
        return read_regular(place.root_certificate, server_certificate.MAX_FILE)
    except OSError:
        return b""


VERB = Verb("invite", "make a line that lets one client in, once", _arguments, _run)
