"""check: find what is wrong, and say what to type next. Enrols no client and changes nothing."""

from __future__ import annotations

import asyncio
import os
import stat
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path

from multipassd import driver_choice
from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import (
    LOOSE,
    repair_command,
    repair_modes,
    repairable,
    unreadable,
    way_in,
)
from multipassd.admin.access.verb import DONE, FAILED, JSON, Verb, add_repair
from multipassd.admin.findings import (
    clients,
    cluster,
    instances,
    lockout,
    roots,
    socket_file,
    storage,
)
from multipassd.admin.findings.report import Report
from multipassd.admin.findings.socket_file import mode, user
from multipassd.admin.list_ import expiries
from multipassd.auth import passphrase
from multipassd.certificates import certificate_checks, server_certificate
from multipassd.settings.settings import Settings
from multipassd.system import installation
from multipassd.system.files import read_regular
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places
from protocol.settings import DRIVER

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def _run(place: Place, options: Namespace) -> int:
    if options.repair:
        repair_modes(place, options.dry_run)
    report = Report(prints=options.format != JSON)
    store = place.store(change=False)
    settings = Settings(place.settings, place.owner)
    _store(place, store, report)
    _directories(place, report)
    storage.look(place, report)
    _settings(settings, report)
    clients.ages(store, expiries(place), settings.refuses_expired(), report)
    _certificates(place, report)
    roots.look(place, report)
    driver = settings.get(DRIVER)
    known = instances.look(place, driver, report)
    inspecting = driver_choice.inspect(driver, place.data, settings.get, known)
    cluster.look(asyncio.run(inspecting), report)
    # As read: a daemon that wakes now makes the directory.
    state = TrustState.DAMAGED if _lost(place) else place.state(store)
    socket_file.look(place, state, report)
    if place.state(store) is TrustState.TRUSTING:
        lockout.look(store, bool(settings.passphrase_record()), report)
    options.document |= {"problems": report.problems, "findings": report.findings}
    if options.format == JSON:
        return FAILED if report.problems else DONE
    if report.problems:
        print(f"{report.problems} problem{'s' if report.problems > 1 else ''} found.")
        return FAILED
    print("Everything is sound.")
    return DONE


def _store(place: Place, store: TrustStore, report: Report) -> None:
    program = installation.here().trust
    match place.state(store):
        case TrustState.DAMAGED if not os.path.lexists(place.store_directory):
            report.problem(
                f"{place.store_directory} is missing, and with it the list of trusted clients",
                f"restore it from a copy, or begin an empty one by `sudo {program} reset`",
            )
        case TrustState.DAMAGED:
            cure = "restore it from a copy, or begin an empty one by `{program} reset`"
            command = repair_command() if repairable(place) else ()
            if command:
                cure = "`{program} check --repair`, which keeps what it holds"
            report.problem(store.damage, cure.format(program=f"sudo {program}"), command)
        case TrustState.EMPTY if _lost(place):
            report.problem(
                f"{place.store_directory} is missing, and with it the list of trusted clients",
                f"restore it from a copy, or begin an empty one by {installation.here().restart}",
            )
        case TrustState.EMPTY:
            report.note(f"no client is trusted yet: {way_in(place)}")
        case TrustState.TRUSTING:
            report.fine(f"{clients.count(store)} trusted in {place.store_path.parent}")
            store.records()  # reads the side file, too
    for path in unreadable(place):
        report.problem(
            f"{path} belongs to root, and the service's user ({user(place.owner)}) can't read it",
            f"`sudo {program} check --repair`, which keeps what it holds",
            repair_command(),
        )
    if os.path.lexists(place.store_directory):
        for problem in store.problems:
            cure = clients.cure(place, store, problem)
            repairs = "check --repair" in cure
            report.problem(problem, cure, repair_command() if repairs else ())
    clients.invited(place, report)


def _lost(place: Place) -> bool:
    """A service that has run made the store's directory with its certificates."""
    return not os.path.lexists(place.store_directory) and (place.data / "certificates").exists()


def _directories(place: Place, report: Report) -> None:
    """Who may write to a directory may replace what is in it, however safe that is in itself."""
    state = [place.data.parent] if place.data.parent == Path(places.STATE_DIRECTORY) else []
    for path in (*state, place.data, place.settings.parent):
        try:
            status = path.stat()
        except OSError:
            continue  # it is made at need
        if status.st_uid not in place.owners:
            cure = f"`sudo chown {user(place.owner)} {path}`"
            report.problem(f"{path} belongs to uid {status.st_uid}", cure)
        if status.st_mode & LOOSE:
            report.problem(
                f"others may write to {path} ({mode(status):04o}), and so replace what is in it",
                f"`sudo chmod go-w {path}`, then look through "
                f"`sudo {installation.here().trust} list`",
            )
        if path in state and not status.st_mode & stat.S_IXOTH:
            report.problem(
                f"users can't enter {path} ({mode(status):04o}) and read the root certificate",
                f"`sudo chmod a+rx {path}`",
                ("chmod", "a+rx", str(path)),
            )


def _settings(settings: Settings, report: Report) -> None:
    for warning in settings.warnings:
        report.problem(warning, f"put it right in {settings.path}")
    if settings.problem:
        report.problem(settings.problem)
        return
    record = settings.passphrase_record()
    state = "set" if record else "not set"
    report.fine(f"the passphrase for `multipass authenticate` is {state} ({settings.path})")
    if record and not passphrase.is_unsalted(record):
        report.note(
            "Multipass 1.16 can't check this passphrase, as it is kept with a salt: after going"
            " back to 1.16, set it again with `multipass set local.passphrase`"
        )


# The daemon's own certificates


def _certificates(place: Place, report: Report) -> None:
    directory = place.data / "certificates"
    if not directory.exists() and not place.root_certificate.exists():
        report.note("the service has no certificates yet; its first start makes them")
        return
    cure = f"restart the service; it makes what is missing: {installation.here().restart}"
    before = report.problems
    for path in (directory / server_certificate.KEY, directory / server_certificate.ROOT_KEY):
        _secret(path, place.owners, report, cure)
    root = _read(place.root_certificate, report, cure)
    server = _read(directory / server_certificate.CERTIFICATE, report, cure)
    if root and not place.root_certificate.stat().st_mode & stat.S_IROTH:
        path = place.root_certificate
        report.problem(f"users can't read {path}, so clients can't verify the service",
                       f"`chmod a+r {path}`", ("chmod", "a+r", str(path)))  # fmt: skip
    if root and server:
        _pair(root, server, report, cure)
    if report.problems == before:
        report.fine(f"the service's certificates and keys, with {place.root_certificate}")


def _secret(path: Path, owners: frozenset[int], report: Report, cure: str) -> None:
    try:
        status = path.lstat()
    except OSError as error:
        report.problem(f"{path}: {error.strerror}", cure)
        return
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in owners:
        report.problem(f"{path} is no regular file of the service", f"remove it, then {cure}")
    elif status.st_mode & OTHERS:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        command = ("chmod", "600", str(path))
        what = f"others may read the key {path} ({mode})"
        report.problem(what, f"`{' '.join(command)}`", command)


def _read(path: Path, report: Report, cure: str) -> bytes:
    try:
        return read_regular(path, server_certificate.MAX_FILE)
    except OSError as error:
        report.problem(f"{path}: {error.strerror or error}", cure)
        return b""


def _pair(root: bytes, server: bytes, report: Report, cure: str) -> None:
    now = datetime.now(UTC)
    for name, text in (("root", root), ("server", server)):
        try:
            if not certificate_checks.valid_at(text, now):
                report.problem(f"the {name} certificate is not valid now", cure)
        except ValueError as error:
            report.problem(f"the {name} certificate is none: {error}", cure)
            return
    if not certificate_checks.is_issued_by(server, root):
        report.problem("the server certificate was not issued by the root certificate", cure)


def _arguments(parser: ArgumentParser) -> None:
    add_repair(parser)


VERB = Verb("check", "diagnose, and say what to type next", _arguments, _run)
