"""check: what is wrong, and what to type next. Enrols nobody and changes nothing."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from multipassd import identity, listener, words
from multipassd.admin import probe, user
from multipassd.admin.change import repair_modes
from multipassd.admin.list_ import expiries
from multipassd.admin.place import Place, invoker
from multipassd.admin.verb import DONE, FAILED, Verb, add_repair
from multipassd.files import read_regular
from multipassd.home import HomeError
from multipassd.installer import InstallerError, certificate_of
from multipassd.settings import Settings
from multipassd.truststate import TrustState
from multipassd.truststore import TrustStore
from protocol import admins, certificates, places
from protocol.pem import fingerprint

MAX_USERS = 50  # whose homes are looked into, a process each
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Report:
    """Prints findings as they come and counts the problems."""

    def __init__(self) -> None:
        self.problems = 0

    def fine(self, text: str) -> None:
        print(f"ok       {text}")

    def note(self, text: str) -> None:
        print(f"note     {text}")

    def problem(self, text: str, cure: str = "") -> None:
        self.problems += 1
        print(f"PROBLEM  {text}")
        if cure:
            print(f"         next: {cure}")


def _run(place: Place, options: Namespace) -> int:
    if options.repair:
        repair_modes(place, options.dry_run)
    report = Report()
    store = place.store(change=False)
    settings = Settings(place.settings)
    _store(place, store, report)
    _settings(settings, report)
    _certificates(place, report)
    _socket(place, store, report)
    if place.state(store) is TrustState.TRUSTING:
        _locked_out(store, bool(settings.passphrase_record()), report)
    if report.problems:
        print(f"{report.problems} problem{'s' if report.problems > 1 else ''} found.")
        return FAILED
    print("Everything is sound.")
    return DONE


def _store(place: Place, store: TrustStore, report: Report) -> None:
    program = words.here().trust
    match place.state(store):
        case TrustState.DAMAGED:
            report.problem(
                store.damage,
                f"if only owner or mode is wrong, `{program} check --repair` keeps what it holds; "
                f"else `{program} reset`",
            )
        case TrustState.EMPTY:
            report.note("nobody is trusted yet: the first client from root or the admin group is")
        case TrustState.TRUSTING:
            report.fine(f"{len(store)} trusted in {place.store_path}")
    if os.path.lexists(place.store_directory):
        for problem in store.problems:
            report.problem(problem, f"look into {place.store_path}")
    now = datetime.now(UTC)
    old = sum(end < now for end in expiries(place).values())
    if old:
        report.note(f"{old} trusted certificates have expired, which does not matter for trust")


def _settings(settings: Settings, report: Report) -> None:
    for warning in settings.warnings:
        report.problem(warning, f"put it right in {settings.path}")
    if settings.problem:
        report.problem(settings.problem)
        return
    state = "set" if settings.passphrase_record() else "not set"
    report.fine(f"the passphrase for `multipass authenticate` is {state} ({settings.path})")


# The daemon's own certificates


def _certificates(place: Place, report: Report) -> None:
    directory = place.data / "certificates"
    if not directory.exists() and not place.root_certificate.exists():
        report.note("the service has no certificates yet; its first start makes them")
        return
    cure = f"restart the service; it makes what is missing: {words.here().restart}"
    before = report.problems
    for path in (directory / identity.KEY, directory / identity.ROOT_KEY):
        _secret(path, report, cure)
    root = _read(place.root_certificate, report, cure)
    server = _read(directory / identity.CERTIFICATE, report, cure)
    if root and not place.root_certificate.stat().st_mode & stat.S_IROTH:
        path = place.root_certificate
        report.problem(f"users can't read {path}, so clients can't verify the service",
                       f"`chmod a+r {path}`")  # fmt: skip
    if root and server:
        _pair(root, server, report, cure)
    if report.problems == before:
        report.fine(f"the service's certificates and keys, with {place.root_certificate}")


def _secret(path: Path, report: Report, cure: str) -> None:
    try:
        status = path.lstat()
    except OSError as error:
        report.problem(f"{path}: {error.strerror}", cure)
        return
    if not stat.S_ISREG(status.st_mode) or status.st_uid not in {0, os.geteuid()}:
        report.problem(f"{path} is no regular file of the service", f"remove it, then {cure}")
    elif status.st_mode & OTHERS:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        report.problem(f"others may read the key {path} ({mode})", f"`chmod 600 {path}`")


def _read(path: Path, report: Report, cure: str) -> bytes:
    try:
        return read_regular(path, identity.MAX_FILE)
    except OSError as error:
        report.problem(f"{path}: {error.strerror or error}", cure)
        return b""


def _pair(root: bytes, server: bytes, report: Report, cure: str) -> None:
    now = datetime.now(UTC)
    for name, text in (("root", root), ("server", server)):
        try:
            if not certificates.valid_at(text, now):
                report.problem(f"the {name} certificate is not valid now", cure)
        except ValueError as error:
            report.problem(f"the {name} certificate is none: {error}", cure)
            return
    if not certificates.is_issued_by(server, root):
        report.problem("the server certificate was not issued by the root certificate", cure)


# The socket and who is behind it


def _socket(place: Place, store: TrustStore, report: Report) -> None:
    path = place.socket
    if path is None:
        report.note("no socket was looked at: name one with --socket")
        return
    start = words.here().start
    try:
        status = path.lstat()
    except OSError as error:
        report.problem(f"the socket {path}: {error.strerror}", start)
        return
    if not stat.S_ISSOCK(status.st_mode):
        report.problem(f"{path} is no socket", f"remove it, then {start}")
        return
    report.fine(f"the socket {path} belongs to {_owner(status)}, mode {_mode(status):04o}")
    state = place.state(store)  # as read: a daemon that wakes now makes the directory
    found = probe.ask(path, place.root_certificate)
    if found.problem:
        report.problem(found.problem, start if found.listener is None else words.here().look)
        return
    if found.listener not in {0, os.geteuid()}:
        report.problem(
            f"uid {found.listener} listens on {path}, which is not the service's user",
            f"find that program with `sudo ss -xlp src {path}` and stop it",
        )
        return
    report.fine("the service answers")
    # Only now: a daemon that the question woke sets owner and mode at its start.
    _mode_fits(path, state, report)


def _mode_fits(path: Path, state: TrustState, report: Report) -> None:
    status = path.lstat()
    everyone = _mode(status) & 0o006 == 0o006
    if state is TrustState.EMPTY and everyone and places.in_snap(os.environ) and status.st_gid == 0:
        report.note(
            "the socket is open to all; until the first client the service itself turns away "
            "everybody but root and the admin group"
        )
    elif state is TrustState.EMPTY and everyone:
        report.problem(
            f"the socket is open to all ({_mode(status):04o}) though nobody is trusted yet",
            f"`sudo chmod {listener.CLOSED_MODE:o} {path}`",
        )
    elif state is TrustState.TRUSTING and not everyone:
        report.problem(
            f"users outside the socket's group can't connect (mode {_mode(status):04o})",
            f"`sudo chmod {listener.OPEN_MODE:o} {path}`",
        )


def _owner(status: os.stat_result) -> str:
    return f"{_name(lambda: pwd.getpwuid(status.st_uid).pw_name, status.st_uid)}:" + _name(
        lambda: grp.getgrgid(status.st_gid).gr_name, status.st_gid
    )


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def _mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)


# Who can't get in


def _locked_out(store: TrustStore, passphrase: bool, report: Report) -> None:
    """Administrators who have a client, but an untrusted one."""
    for account in _administrators():
        try:
            found = [certificate_of(account, each, make=False) for each in user.present(account)]
        except (HomeError, InstallerError) as error:
            report.note(str(error))
            continue
        if not found or any(store.trusts(fingerprint(der)) for der in found):
            continue
        name = account.pw_name
        if passphrase:
            report.note(f"{name} is not trusted, and gets in with `multipass authenticate`")
        else:
            report.problem(
                f"{name} is locked out: not trusted, and there is no passphrase to give",
                f"`sudo {words.here().trust} add --user {name}`",
            )


def _administrators() -> Iterator[pwd.struct_passwd]:
    """Who is at work and, for root, the members of the admin groups; root needs no help."""
    names = set()
    with suppress(KeyError):
        names.add(pwd.getpwuid(invoker()).pw_name)
    if os.geteuid() == 0:
        for group in admins.GROUPS:
            with suppress(KeyError):
                names.update(grp.getgrnam(group).gr_mem)
    for name in sorted(names)[:MAX_USERS]:
        with suppress(KeyError):
            account = pwd.getpwnam(name)
            if account.pw_uid:
                yield account


def _arguments(parser: ArgumentParser) -> None:
    add_repair(parser)


VERB = Verb("check", "diagnose, and say what to type next", _arguments, _run)
