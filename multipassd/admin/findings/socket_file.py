"""What check says of the service's socket, and of what listens behind it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable
from pathlib import Path

from multipassd.admin.access import units
from multipassd.admin.access.locations import Place
from multipassd.admin.access.store_access import first_client
from multipassd.admin.findings import probe
from multipassd.admin.findings.report import Report
from multipassd.auth import gate
from multipassd.system import installation
from multipassd.transport import listener
from multipassd.trust.state import TrustState
from protocol import places


def look(place: Place, state: TrustState, report: Report) -> None:
    """`state`: the trust store's, before anything here has woken the service."""
    path = place.socket
    if path is None:
        report.note("no socket was looked at: name one with --socket")
        return
    start, look = installation.here().start, installation.here().diagnose
    command = _start_command(path)
    if masked := _masked(path):
        start = look = f"`sudo systemctl unmask {masked}`, then {start}"
        command = ()
    try:
        status = path.lstat()
    except OSError as error:
        report.problem(f"the socket {path}: {error.strerror}", start, command)
        return
    if not stat.S_ISSOCK(status.st_mode):
        report.problem(f"{path} is no socket", f"remove it, then {start}")
        return
    report.fine(f"the socket {path} belongs to {_owner(status)}, mode {mode(status):04o}")
    found = probe.ask(path, place.root_certificate)
    if found.problem:
        unheard = found.listener is None
        report.problem(found.problem, start if unheard else look, command if unheard else ())
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
            f"the service runs as root, but {place.data} belongs to {user(place.owner)}, who can "
            "replace what is in it",
            f"`sudo chown root {place.data}`, then look through "
            f"`sudo {installation.here().trust} list`",
        )
    # Only now: a daemon that the question woke sets owner and mode at its start.
    _mode_fits(place, path, state, report)


def _masked(path: Path) -> str:
    """The units of the packaged socket that systemd was told never to start."""
    here = installation.here()
    if not here.has_units or path != Path(places.default_socket({})) or not units.manager_runs():
        return ""
    names = (here.socket_unit, here.daemon_unit)
    return " ".join(name for name in names if units.show(name, "LoadState") == ["masked"])


def _start_command(path: Path) -> tuple[str, ...]:
    """Starts the packaged socket, if that is the one; for root."""
    here = installation.here()
    if not here.has_units or path != Path(places.default_socket({})) or not units.manager_runs():
        return ()
    return ("systemctl", "start", here.socket_unit)


def _mode_fits(place: Place, path: Path, state: TrustState, report: Report) -> None:
    status = path.lstat()
    everyone = mode(status) & 0o006 == 0o006
    due = gate.open_to_all(state, first_client(place))
    confined = installation.here().confined  # the snap may not give the socket to a group
    if not due and everyone and confined and status.st_gid == 0:
        report.note(
            "the socket is open to all; until the first client the service itself turns away "
            "everybody but root and the admin group"
        )
    elif not due and everyone:
        report.problem(
            f"the socket is open to all ({mode(status):04o}) though no client is trusted yet",
            f"`sudo chmod {listener.CLOSED_MODE:o} {path}`",
            ("chmod", f"{listener.CLOSED_MODE:o}", str(path)),
        )
    elif due and state is not TrustState.DAMAGED and not everyone:
        report.problem(
            f"users outside the socket's group can't connect (mode {mode(status):04o})",
            f"`sudo chmod {listener.OPEN_MODE:o} {path}`",
            ("chmod", f"{listener.OPEN_MODE:o}", str(path)),
        )


def _owner(status: os.stat_result) -> str:
    group = _name(lambda: grp.getgrgid(status.st_gid).gr_name, status.st_gid)
    return f"{user(status.st_uid)}:{group}"


def user(uid: int) -> str:
    """The name of a user, or the number."""
    return _name(lambda: pwd.getpwuid(uid).pw_name, uid)


def _name(look_up: Callable[[], str], number: int) -> str:
    try:
        return look_up()
    except KeyError:
        return str(number)


def mode(status: os.stat_result) -> int:
    """The permission bits."""
    return stat.S_IMODE(status.st_mode)
