"""tcp: switch the service's TCP socket on, with its user enrolled, or off; also for later boots."""

from __future__ import annotations

import errno
import os
import pwd
import socket
import time
from argparse import ArgumentParser, Namespace

from multipassd.admin.access import units, user
from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import open_store, say
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.admin.add import Candidate, enrol
from multipassd.audit.trail import Audit
from multipassd.auth import installer
from multipassd.system import installation
from multipassd.system.installation import Installation

SERVICE, SOCKET = Installation.daemon_unit, Installation.tcp_socket_unit
ENABLE, DISABLE = "enable", "disable"
PATIENCE = 30.0  # seconds of attempts; under load one in twelve is refused
PAUSE = 0.1  # seconds


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=(ENABLE, DISABLE))
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="who is enrolled by enable (default: the user who called sudo)",
    )
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    if options.action == DISABLE and (options.user or options.repair):
        options.usage_error("disable leaves trust as it is: --user and --repair are for enable")
    _check_host()
    if options.action == ENABLE:
        _enable(place, options)
    else:
        _disable(options.dry_run)
    return DONE


def _check_host() -> None:
    """Raises TrustError where there is no unit to switch, or no right to do so."""
    if not installation.here().has_units:
        raise TrustError(
            "A snap has no units to switch. `sudo snap set multipass address=127.0.0.1:50051` has "
            "the service listen on TCP, and "
            f"`sudo {installation.here().trust} add -` lets a user in."
        )
    if not units.manager_runs():
        raise TrustError(
            "systemd does not run this machine, so it has no TCP socket to switch. Start the "
            "service with `multipassd --address unix:/run/multipass_socket --address "
            "127.0.0.1:50051`, and let a user in with `multipass-trust add --user NAME`."
        )
    if os.geteuid() != 0:
        raise TrustError("Only root may switch the service's TCP: repeat it with sudo.")
    (state,) = units.show(SOCKET, "LoadState")
    if state != "loaded":
        cure = {
            "masked": f"`systemctl unmask {SOCKET}` allows it again",
            "not-found": "install the deb, which brings it",
        }.get(state, f"`systemctl status {SOCKET}` says more")
        raise TrustError(f"TCP can't be switched: the unit {SOCKET} is {state}; {cure}.")


def human() -> str:
    """Who called sudo or pkexec. Raises TrustError when that was root, or is unknown."""
    name = os.environ.get("SUDO_USER", "")
    if not name and (uid := invoker()):
        try:
            name = pwd.getpwuid(uid).pw_name
        except (KeyError, OverflowError):
            name = ""
    if name in ("", "root"):
        raise TrustError(
            "Nothing was changed: can't tell which user to enrol (not run by sudo or pkexec). Use "
            "--user NAME."
        )
    return name


# On


def _enable(place: Place, options: Namespace) -> None:
    name = options.user or human()
    store = open_store(place, options.repair, options.dry_run)
    # Trust first: what fails after it leaves TCP off, so it is never on without a trusted client.
    found = user.certificates_of(name, options.dry_run)
    candidates = [Candidate(der, name) for der in found]
    enrol(place, store, candidates, installer.HOW, options.dry_run)
    was_on = units.active(SOCKET)
    if options.dry_run:
        say(f"Enable {SOCKET} for every boot.", options.dry_run)
        if not was_on:
            say(f"Restart {SERVICE} with {SOCKET}; callers wait.", options.dry_run)
        return
    if not was_on:
        _start_socket()
        Audit().administered("tcp enable", "TCP was switched on by multipass-trust", actor())
    # With the reload: else `systemctl status` would go on telling what was enabled before.
    _demand("TCP is on, but not for later boots", "enable", SOCKET)
    # Started, it has made the certificates by which clients know it.
    _demand("TCP is on, but the service does not start", "start", SERVICE)
    address = _address()
    print(f"TCP {'was on already' if was_on else 'is on'}: {address}, also after a reboot.")
    port = address.rpartition(":")[2]
    print(f"{name} uses it with MULTIPASS_SERVER_ADDRESS=localhost:{port}.")
    print("Others also need `multipass authenticate` first.")


def _start_socket() -> None:
    """systemd refuses a socket to a service that runs, and a caller may start that at any time.

    Restarting both settles it: the service's stop comes before the socket's start, and its start,
    for which callers wait in the other socket, after that. What changes between the question and
    systemd's answer is met by the next attempt.
    """
    deadline = time.monotonic() + PATIENCE
    while problem := units.change(*_how_to_start()):
        (state,) = units.show(SOCKET, "ActiveState")
        if state == "active":
            return  # then it is the service's trouble, which is looked at next
        if state == "failed" or time.monotonic() > deadline:  # else it was refused, not tried
            _check_port()
            raise _failed("TCP was not switched on", problem)
        time.sleep(PAUSE)


def _check_port() -> None:
    """systemd's answer does not tell the usual reason. Raises TrustError if it is that."""
    address = _address()
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as systemd has it
        try:
            probe.bind((host.strip("[]"), int(port)))
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) != errno.EADDRINUSE:
                return
            raise TrustError(
                f"TCP was not switched on: another program has {address}. "
                f"`sudo ss -ltnp sport = :{port}` names it; stop it, or have {SOCKET} listen on "
                "another port by a drop-in, then repeat this."
            ) from None


def _address() -> str:
    return units.show(SOCKET, "Listen")[0].partition(" ")[0]


def _how_to_start() -> tuple[str, ...]:
    if units.show(SERVICE, "ActiveState") == ["inactive"]:
        return "start", SOCKET
    return "restart", SERVICE, SOCKET


# Off


def _disable(dry_run: bool) -> None:
    was_on = units.active(SOCKET)
    if dry_run:
        say(f"Stop {SOCKET}, also for later boots, and restart {SERVICE} if it runs.", dry_run)
        return
    _demand("TCP was not switched off", "disable", SOCKET)
    _demand("TCP is off at the next boot only", "stop", SOCKET)
    # Also when it was off: the service keeps the socket of a unit that was stopped by hand.
    _demand(f"{SERVICE} was not restarted and still listens", "try-restart", SERVICE)
    if not was_on:
        print("TCP was off already.")
        return
    Audit().administered("tcp disable", "TCP was switched off by multipass-trust", actor())
    print("TCP is off, also after a reboot. Who is trusted stays so.")


def _demand(failure: str, *arguments: str) -> None:
    if problem := units.change(*arguments):
        raise _failed(failure, problem)


def _failed(failure: str, problem: str) -> TrustError:
    return TrustError(
        f"{failure}. systemd says: {problem.rstrip('.')}. "
        f"`journalctl -u {SOCKET} -u {SERVICE} -e` says more; then repeat this."
    )


VERB = Verb("tcp", "switch TCP on and enrol its user, or off", _arguments, _run)
