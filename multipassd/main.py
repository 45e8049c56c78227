"""The program: options, then either the service or the one-off enrolment of the installer."""

from __future__ import annotations

import asyncio
import os
import sys

from multipassd import service
from multipassd.network.errors import HelperError
from multipassd.options import parse_options
from multipassd.snap import options as snap_options
from multipassd.snap.takeover import take_over
from multipassd.system import installation, log
from multipassd.transport import listener
from multipassd.transport.listener import ListenError
from multipassd.trust.lock import StoreError
from protocol.addresses import Address, parse

EXIT_FAILED = 1

_log = log.get("main")


def main(arguments: list[str]) -> int:
    """The exit code: 0 after a clean stop, 1 with a sentence on stderr, 2 for bad usage."""
    options = parse_options(arguments)
    # Files have modes of their own; machines' directories are for their group, too, and in the
    # sandbox no later chmod can say so without losing the group that they hand down.
    os.umask(0o027)
    set_for_snap, problem = _set_for_snap()
    verbosity = options.verbosity or set_for_snap.get("verbosity", "info")
    # Run by hand it is no part of the daemon's unit, whose journal is to know of it all the same.
    unit = {"OBJECT_SYSTEMD_UNIT": installation.here().daemon_unit}
    about = unit if options.enrol_installer else None
    log.configure(options.logger, verbosity, about)
    for text in filter(None, (problem, take_over(os.environ))):
        _log.warning("%s", text)
    os.environ.update(snap_options.proxies(set_for_snap))
    try:
        if options.enrol_installer:
            return _enrol(options.enrol_installer)
        addresses = list(options.address) or _bindable(set_for_snap)
        return asyncio.run(service.serve(addresses, options.idle_exit, options.network))
    except (ListenError, HelperError, StoreError) as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    print(f"multipassd: {error}", file=sys.stderr)
    return EXIT_FAILED


def _set_for_snap() -> tuple[snap_options.Options, str]:
    """The options of `snap set`, and a sentence if their file can't be read: no reason to exit."""
    try:
        return snap_options.load(os.environ), ""
    except snap_options.OptionError as error:
        return {}, str(error)


def _bindable(set_for_snap: snap_options.Options) -> list[Address]:
    """The address from `snap set`, if it can be bound. Else the Unix socket is still served, so
    that the address can be corrected."""
    if "address" not in set_for_snap:
        return []
    address = parse(set_for_snap["address"])
    try:
        for each in listener.bind(address, 0):
            each.close()
    except ListenError as error:
        _log.error("%s: the Unix socket alone is served; see `snap get multipass address`", error)
        return []
    return [address]


def _enrol(user: str) -> int:
    """Raises StoreError."""
    # Imported here, as the daemon itself needs none of this: its unit sets the paths.
    from multipassd.admin.access import locations, store_access
    from multipassd.audit.trail import Audit
    from multipassd.auth.installer import InstallerError, enrol_installer

    here = locations.find(os.environ, data=None, socket=None)
    store = here.store(change=True)
    try:
        done = enrol_installer(user, store, os.environ, Audit(store.identity))
    except InstallerError as error:
        return _failed(error)
    store_access.apply_socket_mode(here, store)
    print(done)
    return 0
