"""tcp: switch the service's TCP socket on, with its user enrolled, or off; also for later boots."""

from __future__ import annotations

import os
import pwd
from argparse import ArgumentParser, Namespace

from multipassd.admin.access import exposure, tcp_unit, units, user
from multipassd.admin.access.locations import Place, actor, invoker
from multipassd.admin.access.store_access import open_store, say
from multipassd.admin.access.tcp_unit import SERVICE, SOCKET, demand
from multipassd.admin.access.verb import DONE, TrustError, Verb, add_repair
from multipassd.admin.add import Candidate, enrol
from multipassd.audit.trail import Audit
from multipassd.auth import installer
from multipassd.system import installation

ENABLE, DISABLE, STATUS = "enable", "disable", "status"


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=(ENABLE, DISABLE, STATUS))
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help=(
            "where enable has it listen: an address of this host, 0.0.0.0 or [::] for all of them "
            "(default: as it is, at first 127.0.0.1:50051)"
        ),
    )
    parser.add_argument(
        "--user",
        metavar="NAME",
        help="who is enrolled by enable (default: the user who called sudo)",
    )
    add_repair(parser)


def _run(place: Place, options: Namespace) -> int:
    if options.action != ENABLE and (options.user or options.repair or options.address):
        options.usage_error(
            f"{options.action} leaves trust as it is: --user, --repair and --address are for enable"
        )
    _check_host(place, options.address, options.action)
    {ENABLE: _enable, DISABLE: _disable, STATUS: _status}[options.action](place, options)
    return DONE


def _check_host(place: Place, address: str | None, action: str) -> None:
    """Raises TrustError where there is no unit to switch, or no right to do so."""
    wanted = str(exposure.parse(address)) if address else tcp_unit.DEFAULT
    what_else = "".join(f"\n{note}" for note in exposure.notes(wanted, place))
    if not installation.here().has_units:
        raise TrustError(
            f"A snap has no units to switch. `sudo snap set multipass address={wanted}` has "
            "the service listen on TCP, `snap get multipass address` shows it, and "
            f"`sudo {installation.here().trust} add -` lets a user in.{what_else}"
        )
    if not units.manager_runs():
        raise TrustError(
            "systemd does not run this machine, so it has no TCP socket to switch. Start the "
            "service with `multipassd --address unix:/run/multipass_socket --address "
            f"{wanted}`, and let a user in with `multipass-trust add --user NAME`.{what_else}"
        )
    if os.geteuid() != 0 and action != STATUS:
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
    wanted = exposure.parse(options.address) if options.address else None
    store = open_store(place, options.repair, options.dry_run)
    # Trust first: what fails after it leaves TCP off, so it is never on without a trusted client.
    found = user.certificates_of(name, options.dry_run)
    candidates = [Candidate(der, name) for der in found]
    enrol(place, store, candidates, installer.HOW, options.dry_run)
    was_on = units.active(SOCKET)
    if options.dry_run:
        moved = wanted is not None and str(wanted) != tcp_unit.address()
        if moved:
            say(f"Have {SOCKET} listen on {wanted}, by {tcp_unit.DROP_IN}.", options.dry_run)
        say(f"Enable {SOCKET} for every boot.", options.dry_run)
        if not was_on or moved:
            say(f"Restart {SERVICE} with {SOCKET}; callers wait.", options.dry_run)
        return
    with tcp_unit.listening_on(wanted) as moved:
        if moved or not was_on:
            tcp_unit.start(moved)
            on = f"TCP was switched on by multipass-trust, {tcp_unit.address()}"
            Audit().administered("tcp enable", on, actor())
    # With the reload: else `systemctl status` would go on telling what was enabled before.
    demand("TCP is on, but not for later boots", "enable", SOCKET)
    # Started, it has made the certificates by which clients know it.
    demand("TCP is on, but the service does not start", "start", SERVICE)
    address = tcp_unit.address()
    already = was_on and not moved
    print(f"TCP {'was on already' if already else 'is on'}: {address}, also after a reboot.")
    host, _, port = address.rpartition(":")
    local = "localhost" if host in ("127.0.0.1", "0.0.0.0", "[::]") else host
    print(f"{name} uses it with MULTIPASS_SERVER_ADDRESS={local}:{port}.")
    print("Others also need `multipass authenticate` first.")
    for note in exposure.notes(address, place):
        print(note)


# Off


def _disable(place: Place, options: Namespace) -> None:
    was_on, moved = units.active(SOCKET), tcp_unit.DROP_IN.exists()
    back = f" {tcp_unit.DROP_IN} is removed, so it would listen on {tcp_unit.DEFAULT} again."
    if options.dry_run:
        how = f"Stop {SOCKET}, also for later boots, and restart {SERVICE} if it runs."
        say(how + (back if moved else ""), options.dry_run)
        return
    demand("TCP was not switched off", "disable", SOCKET)
    demand("TCP is off at the next boot only", "stop", SOCKET)
    # Also when it was off: the service keeps the socket of a unit that was stopped by hand.
    demand(f"{SERVICE} was not restarted and still listens", "try-restart", SERVICE)
    # So that a later `enable` opens it to other machines only if it says so.
    tcp_unit.forget_address()
    if not was_on:
        print(f"TCP was off already.{back if moved else ''}")
        return
    Audit().administered("tcp disable", "TCP was switched off by multipass-trust", actor())
    print(f"TCP is off, also after a reboot. Who is trusted stays so.{back if moved else ''}")


# Status


def _status(place: Place, options: Namespace) -> None:
    state, enabled = units.show(SOCKET, "ActiveState", "UnitFileState")
    address, later = tcp_unit.address(), enabled == "enabled"
    options.document |= {
        "on": state == "active",
        "at_boot": later,
        "address": address,
        "wide": exposure.is_wide(address),
        "notes": exposure.notes(address, place) if state == "active" else [],
    }
    if state != "active":
        print(f"TCP is off{f', and on again at the next boot: {address}' if later else ''}.")
        return
    print(f"TCP is on: {address}, {'also after a reboot' if later else 'until the next boot'}.")
    for note in exposure.notes(address, place):
        print(note)


VERB = Verb("tcp", "switch TCP on and enrol its user, or off, or show it", _arguments, _run)
