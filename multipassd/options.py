"""The daemon's command line."""

from __future__ import annotations

import argparse

from multipassd.system.log import LEVELS
from protocol.addresses import Address, AddressError, parse
from protocol.version import VERSION

IDLE_EXIT = 300  # seconds; long enough that a person at work never waits for a start


def parse_options(arguments: list[str]) -> argparse.Namespace:
    """Exits with 2 and a sentence on bad usage, with 0 after --help and --version."""
    parser = argparse.ArgumentParser(
        prog="multipassd", description="The Multipass service.", allow_abbrev=False
    )
    parser.add_argument(
        "--address",
        action="append",
        default=[],
        type=_address,
        metavar="ADDRESS",
        help="listen on unix:PATH or HOST:PORT; may be given more than once "
        "(default: the sockets from systemd, else the standard Unix socket)",
    )
    parser.add_argument(
        "--logger",
        choices=("platform", "stderr"),
        default="platform",
        help="where the log goes: the journal (platform) or stderr",
    )
    parser.add_argument(
        "-V",
        "--verbosity",
        choices=tuple(LEVELS),
        help="the least level that is logged (default: info)",
    )
    parser.add_argument(
        "--idle-exit",
        type=_seconds,
        default=IDLE_EXIT,
        metavar="SECONDS",
        help="exit after so long without a connection where systemd holds all sockets and wakes "
        f"the service again (default: {IDLE_EXIT}; 0: never)",
    )
    parser.add_argument(
        "--network",
        choices=("bridge", "user"),
        help="how instances are connected: on a bridge of this host's, which a daemon that systemd "
        "did not start then makes itself, as root; or by QEMU's own networking, without addresses "
        "(default: the bridge where MULTIPASS_NETWORK_SOCKET names its service)",
    )
    parser.add_argument(
        "--enrol-installer",
        metavar="USER",
        help="trust USER's client, make its certificate if there is none, and exit; "
        "for the installation on hosts without Unix sockets",
    )
    parser.add_argument("--version", action="version", version=f"multipassd {VERSION}")
    return parser.parse_args(arguments)


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds")
    return int(text)


def _address(text: str) -> Address:
    try:
        return parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
