"""The program multipass-migrate: its command line, and errors to sentences and exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from multipassd.admin.access import locations
from multipassd.admin.access.locations import Place
from multipassd.audit.trail import Audit
from multipassd.driver_choice import DRIVERS
from multipassd.drivers.backend import Surroundings
from multipassd.migration import listing, places
from multipassd.migration.error import CannotTake
from multipassd.migration.taking import Taking, Wish
from multipassd.migration.vault import Entry, Vault
from multipassd.settings.settings import Settings
from multipassd.system import file_lock, installation, log
from protocol.errors import RpcError
from protocol.version import VERSION

DONE, FAILED = 0, 1
LOCK = "migrating.lock"
UMASK = 0o027  # as the daemon's: machines' directories are for their group, too
PROGRAM = "multipass-migrate"  # in the journal
DRIVER = "qemu"  # of 1.16's vaults that are read here


def main(arguments: list[str]) -> int:
    """The exit code: 0 done, 1 refused or failed with sentences on stderr, 2 for bad usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb == "take" and bool(options.names) == options.all:
        parser.error("take needs either names of instances or --all")
    os.umask(UMASK)
    log.configure("stderr", "warning")
    unit = installation.here().daemon_unit
    log.audit_to_journal({"SYSLOG_IDENTIFIER": PROGRAM, "OBJECT_SYSTEMD_UNIT": unit})
    try:
        return _run(options, locations.find(os.environ, options.data, None))
    except (CannotTake, RpcError) as error:
        _complain(str(error))
    except OSError as error:
        _complain(f"{error.filename or 'standard output'}: {error.strerror}.")
    except KeyboardInterrupt:
        _complain("stopped. The next run goes on.")
    return FAILED


def _run(options: Namespace, place: Place) -> int:
    if options.data and not options.data.is_dir():
        raise CannotTake(f"There is no directory {options.data}; --data names the service's data.")
    if os.geteuid() != place.owner:
        raise CannotTake(
            "Only the user that the service runs as may do this, which is root as a rule: repeat "
            f"it with sudo (the service's data is in {place.data})."
        )
    found = places.vaults(options.source, place.data, os.environ)
    notes = _Notes()
    setting = Settings(place.settings, place.owner).get
    around = Surroundings(os.environ, place.machines.parent, place.data, setting)
    driver = DRIVERS[DRIVER]().make(around)
    taking = Taking(place.data, place.machines, driver, notes.tell, notes.progress)
    if options.verb == "list":
        listing.show(found, taking, as_json=options.format == "json")
        return DONE
    place.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with file_lock.hold(place.data / LOCK, 0):
            return asyncio.run(_take(options, found, taking, notes))
    except TimeoutError:
        raise CannotTake("Another multipass-migrate is at work.") from None


async def _take(options: Namespace, found: list[Vault], taking: Taking, notes: _Notes) -> int:
    """Each by itself: what is wrong with one keeps no other."""
    # asyncio's own handler waits for the end of a copy.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wish = Wish(options.move, options.drop_suspended)
    names = dict(options.name)
    entries = [entry for vault in found for entry in vault.entries()]
    failed = False
    for entry in _chosen(options.names, entries):
        notes.name = entry.name
        try:
            if not entry.wrong and (here := taking.here(entry)):
                print(f"{entry.name}: taken over already{_as(here, entry)}.")
                continue
            name = names.get(entry.name, entry.name)
            await taking.take(entry, name, wish)
            text = f"{name} was taken over from Multipass 1.16"
            Audit().administered("migrate", text, locations.actor(PROGRAM), name)
            print(f"{entry.name}: taken over{_as(name, entry)}.", flush=True)
        except (CannotTake, RpcError, OSError, ValueError) as error:
            failed = True
            notes.clear()
            _complain(f"{entry.name}: {_reason(error)}.")
    return FAILED if failed else DONE


def _chosen(names: list[str], entries: list[Entry]) -> list[Entry]:
    """Raises CannotTake where a name has none, or more than one."""
    for name in names:
        having = [str(entry.data) for entry in entries if entry.name == name]
        if not having:
            raise CannotTake(f"There is no instance {name} of Multipass 1.16. Nothing was done.")
        if len(having) > 1:
            raise CannotTake(f"{name} is in {' and in '.join(having)}: choose one with --from.")
    return [entry for entry in entries if not names or entry.name in names]


def _as(name: str, entry: Entry) -> str:
    return "" if name == entry.name else f" as {name}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return str(error).rstrip(".")


def _complain(sentence: str) -> None:
    print(f"{installation.here().migrate}: {sentence}", file=sys.stderr, flush=True)


class _Notes:
    """What is told of the instance that is being taken over; its progress on a terminal only."""

    def __init__(self) -> None:
        self.name = ""
        self._shown = -1

    def tell(self, text: str) -> None:
        self.clear()
        _complain(f"{self.name}: {text}.")

    def progress(self, done: int, size: int) -> None:
        percent = done * 100 // size if size else 100
        if percent != self._shown and sys.stderr.isatty():
            self._shown = percent
            print(
                f"\r{self.name}: copying its disk: {percent} %", end="", file=sys.stderr, flush=True
            )
            if done == size:
                self.clear()

    def clear(self) -> None:
        if self._shown >= 0:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        self._shown = -1


def _renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ValueError
    return old, new


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=installation.here().migrate,
        description="Take instances of Multipass 1.16 over; the service may be up or down.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--from", dest="source", type=Path, metavar="DIR",
        help="the data directory of Multipass 1.16, or the storage directory above it",
    )  # fmt: skip
    common.add_argument("--data", type=Path, metavar="DIR", help="the service's data directory")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")
    listing = verbs.add_parser(
        "list", help="show its instances", parents=[common], allow_abbrev=False
    )
    listing.add_argument("--format", choices=("table", "json"), default="table")
    take = verbs.add_parser(
        "take", help="take instances over", parents=[common], allow_abbrev=False
    )
    take.add_argument("names", nargs="*", metavar="NAME", help="instances of Multipass 1.16")
    take.add_argument("--all", action="store_true", help="all of them")
    take.add_argument("--move", action="store_true", help="move disks instead of copying them")
    take.add_argument(
        "--drop-suspended", action="store_true", help="give up the state of suspended ones"
    )
    take.add_argument(
        "--name", type=_renaming, action="append", default=[], metavar="OLD=NEW",
        help="take OLD over under another name",
    )  # fmt: skip
    return parser
