"""check: find what is wrong, and say what to type next. Enrols no client and changes nothing."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from multipassd.admin.access import units
from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import LOOSE, repair_modes, repairable, unreadable
from multipassd.admin.access.verb import DONE, FAILED, Verb, add_repair
from multipassd.admin.findings import clients, instances, lockout, probe, storage
from multipassd.admin.findings.report import Report
from multipassd.admin.list_ import expiries
from multipassd.auth import certificate_checks, passphrase, server_certificate
from multipassd.settings import Settings
from multipassd.system import installation
from multipassd.system.files import read_regular
from multipassd.transport import listener
from multipassd.trust.state import TrustState
from multipassd.trust.store import TrustStore
from protocol import places

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def _run(place: Place, options: Namespace) -> int:
    if options.repair:
        repair_modes(place, options.dry_run)
    report = Report()
    store = place.store(change=False)
    settings = Settings(place.settings, place.owner)
    _store(place, store, report)
    _directories(place, report)
    storage.look(place, report)
    _settings(settings, report)
    _certificates(place, report)
    instances.look(place, report)
    _socket(place, store, report)
    if place.state(store) is TrustState.TRUSTING:
        lockout.look(store, bool(settings.passphrase_record()), report)
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
            if repairable(place):
                cure = "`{program} check --repair`, which keeps what it holds"
            report.problem(store.damage, cure.format(program=f"sudo {program}"))
        case TrustState.EMPTY if _lost(place):
            report.problem(
                f"{place.store_directory} is missing, and with it the list of trusted clients",
                f"restore it from a copy, or begin an empty one by {installation.here().restart}",
            )
        case TrustState.EMPTY:
            report.note("no client is trusted yet: the first from root or the admin group will be")
        case TrustState.TRUSTING:
            report.fine(f"{clients.count(store)} trusted in {place.store_path.parent}")
            store.records()  # reads the side file, too
    for path in unreadable(place):
        report.problem(
            f"{path} belongs to root, and the service's user ({_user(place.owner)}) can't read it",
            f"`sudo {program} check --repair`, which keeps what it holds",
        )
    if os.path.lexists(place.store_directory):
        for problem in store.problems:
            report.problem(problem, clients.cure(place, store, problem))
    now = datetime.now(UTC)
    old = sum(end < now for end in expiries(place).values())
    if old:
        report.note(f"{old} trusted certificates have expired, which does not matter for trust")


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
            cure = f"`sudo chown {_user(place.owner)} {path}`"
            report.problem(f"{path} belongs to uid {status.st_uid}", cure)
        if status.st_mode & LOOSE:
            report.problem(
                f"others may write to {path} ({_mode(status):04o}), and so replace what is in it",
                f"`sudo chmod go-w {path}`, then look through "
                f"`sudo {installation.here().trust} list`",
            )
        if path in state and not status.st_mode & stat.S_IXOTH:
            report.problem(
                f"users can't enter {path} ({_mode(status):04o}) and read the root certificate",
                f"`sudo chmod a+rx {path}`",
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
                       f"`chmod a+r {path}`")  # fmt: skip
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
        report.problem(f"others may read the key {path} ({mode})", f"`chmod 600 {path}`")


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


# The socket and who is behind it


def _socket(place: Place, store: TrustStore, report: Report) -> None:
    path = place.socket
    if path is None:
        report.note("no socket was looked at: name one with --socket")
        return
    start, look = installation.here().start, installation.here().diagnose
    if masked := _masked(path):
        start = look = f"`sudo systemctl unmask {masked}`, then {start}"
    try:
        status = path.lstat()
    except OSError as error:
        report.problem(f"the socket {path}: {error.strerror}", start)
        return
    if not stat.S_ISSOCK(status.st_mode):
        report.problem(f"{path} is no socket", f"remove it, then {start}")
        return
    report.fine(f"the socket {path} belongs to {_owner(status)}, mode {_mode(status):04o}")
    # As read: a daemon that wakes now makes the directory.
    state = TrustState.DAMAGED if _lost(place) else place.state(store)
    found = probe.ask(path, place.root_certificate)
    if found.problem:
        report.problem(found.problem, start if found.listener is None else look)
        return
    if found.listener not in place.owners:
        report.problem(
            f"uid {found.listener} listens on {path}, which is not the service's user",
            f"find that program with `sudo ss -xlp src {path}` and stop it",
        )
        return
    report.fine("the service answers")
    if found.listener == 0 != place.owner:
        report.problem(
            f"the service runs as root, but {place.data} belongs to {_user(place.owner)}, who can "
            "replace what is in it",
            f"`sudo chown root {place.data}`, then look through "
            f"`sudo {installation.here().trust} list`",
        )
    # Only now: a daemon that the question woke sets owner and mode at its start.
    _mode_fits(path, state, report)


def _masked(path: Path) -> str:
    """The units of the packaged socket that systemd was told never to start."""
    here = installation.here()
    if not here.has_units or path != Path(places.default_socket({})) or not units.manager_runs():
        return ""
    names = (here.socket_unit, here.daemon_unit)
    return " ".join(name for name in names if units.show(name, "LoadState") == ["masked"])


def _mode_fits(path: Path, state: TrustState, report: Report) -> None:
    status = path.lstat()
    everyone = _mode(status) & 0o006 == 0o006
    confined = installation.here().confined  # the snap may not give the socket to a group
    if state is TrustState.EMPTY and everyone and confined and status.st_gid == 0:
        report.note(
            "the socket is open to all; until the first client the service itself turns away "
            "everybody but root and the admin group"
        )
    elif state is TrustState.EMPTY and everyone:
        report.problem(
            f"the socket is open to all ({_mode(status):04o}) though no client is trusted yet",
            f"`sudo chmod {listener.CLOSED_MODE:o} {path}`",
        )
    elif state is TrustState.TRUSTING and not everyone:
        report.problem(
            f"users outside the socket's group can't connect (mode {_mode(status):04o})",
            f"`sudo chmod {listener.OPEN_MODE:o} {path}`",
        )


def _owner(status: os.stat_result) -> str:
    group = _name(lambda: grp.getgrgid(status.st_gid).gr_name, status.st_gid)
    return f"{_user(status.st_uid)}:{group}"


def _user(uid: int) -> str:
    return _name(lambda: pwd.getpwuid(uid).pw_name, uid)


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def _mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)


def _arguments(parser: ArgumentParser) -> None:
    add_repair(parser)


VERB = Verb("check", "diagnose, and say what to type next", _arguments, _run)
