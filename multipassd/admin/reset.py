"""reset: from a damaged trust store back to an empty one, with a copy kept."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from multipassd.admin.access.locations import Place, actor
from multipassd.admin.access.store_access import apply_socket_mode, say, way_in
from multipassd.admin.access.verb import DONE, TrustError, Verb
from multipassd.audit.trail import Audit
from multipassd.system import installation
from multipassd.system.files import sync_directory
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore

WARNING = "After this no client is trusted: {}. What is there now is kept beside the store."


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _run(place: Place, options: Namespace) -> int:
    store = place.store(change=not options.dry_run)
    if place.state(store) is not TrustState.DAMAGED and store.damaged_roles():
        return _reset_roles(store, options)
    if place.state(store) is not TrustState.DAMAGED:
        raise TrustError(
            "The trust store is in order, so it was not reset. "
            f"`{installation.here().trust} remove` takes single clients out."
        )
    print(store.damage)
    if options.dry_run:
        say("Set the trust store aside and begin an empty one.", options.dry_run)
        return DONE
    if not options.yes:
        _confirm(WARNING.format(way_in(place)))
    if place.store_directory.is_dir():
        kept = store.reset()
    else:
        kept = _set_aside(place.store_directory)
        EnrolledMarker(place.store_directory).clear()
        store.load()
    text = f"the trust store was reset; what it held is kept in {kept}"
    Audit().administered("reset", text, actor())
    apply_socket_mode(place, store)
    print(f"The trust store is empty now. What it held is kept in {kept}.")
    print(f"Next: `{installation.here().trust} add --user NAME`; else {way_in(place)}.")
    return DONE


def _reset_roles(store: TrustStore, options: Namespace) -> int:
    damaged, lost = store.damaged_roles(), len(store.hidden())
    for why in damaged.values():
        print(why)
    if not options.dry_run and not options.yes:
        _confirm(
            f"After this the {' and '.join(f'{role}s' for role in damaged)} are trusted no longer, "
            f"{lost} on record; the admins stay. Where only the owner or the mode of a file is "
            f"wrong, `sudo {installation.here().trust} check --repair` keeps what it holds."
        )
    for role in damaged:
        if options.dry_run:
            say(f"Set the {role}s' file aside; the admins stay.", options.dry_run)
            continue
        kept = store.reset_role(role)
        text = f"the {role}s' file was reset; what it held is kept in {kept}"
        Audit().administered("reset", text, actor())
        print(f"There are no {role}s now; the admins stay. What the file held is kept in {kept}.")
    return DONE


def _set_aside(path: Path) -> Path:
    """What lies where the store's directory belongs; returns its new place."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    kept = path.with_name(f"{path.name}.damaged-{stamp}-{time.monotonic_ns():x}")
    path.rename(kept)
    sync_directory(path.parent)
    return kept


def _confirm(warning: str) -> None:
    """Raises TrustError unless a person says yes."""
    if not sys.stdin.isatty():
        raise TrustError(f"Nothing was reset. {warning} Confirm with --yes.")
    print(warning)
    print("Reset the trust store? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise TrustError("Nothing was reset.")


VERB = Verb("reset", "begin anew after damage, keeping a copy", _arguments, _run)
