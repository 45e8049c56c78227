"""The daemon's command line."""

from __future__ import annotations

from typing import NamedTuple

from multipassd.system.log import LEVELS
from protocol.addresses import Address, parse
from protocol.version import VERSION

IDLE_EXIT = 300  # seconds; long enough that a person at work never waits for a start
LOGGERS = "platform", "stderr"
NETWORKS = "bridge", "user"


class Options(NamedTuple):
    """What was asked for."""

    address: tuple[Address, ...] = ()
    logger: str = LOGGERS[0]
    verbosity: str | None = None
    idle_exit: int = IDLE_EXIT
    network: str | None = None
    enrol_installer: str | None = None


def parse_options(arguments: list[str]) -> Options:
    """Exits with 2 and a sentence on bad usage, with 0 after --help and --version."""
    try:
        return _plain(arguments)
    except ValueError:
        return _any(arguments)


def _plain(words: list[str]) -> Options:
    """Whole names, each before its value, or nothing, as most starts have it: argparse would cost
    them 5 ms. Raises ValueError for all else."""
    found = Options()
    for name, value in zip(words[::2], words[1::2], strict=True):
        if value.startswith("-"):
            raise ValueError(value)
        if name == "--address":
            found = found._replace(address=(*found.address, parse(value)))
        elif name == "--logger" and value in LOGGERS:
            found = found._replace(logger=value)
        elif name == "--verbosity" and value in LEVELS:
            found = found._replace(verbosity=value)
        elif name == "--idle-exit":
            found = found._replace(idle_exit=_seconds(value))
        elif name == "--network" and value in NETWORKS:
            found = found._replace(network=value)
        else:
            raise ValueError(name)
    return found


def _any(arguments: list[str]) -> Options:
    import argparse

    def address(text: str) -> Address:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    def seconds(text: str) -> int:
        try:
            return _seconds(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser = argparse.ArgumentParser(
        prog="multipassd", description="The Multipass service.", allow_abbrev=False
    )
    parser.add_argument(
        "--address",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="listen on unix:PATH or HOST:PORT; may be given more than once "
        "(default: the sockets from systemd, else the standard Unix socket)",
    )
    parser.add_argument(
        "--logger",
        choices=LOGGERS,
        default=LOGGERS[0],
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
        type=seconds,
        default=IDLE_EXIT,
        metavar="SECONDS",
        help="exit after so long without a connection where systemd holds all sockets and wakes "
        f"the service again (default: {IDLE_EXIT}; 0: never)",
    )
    parser.add_argument(
        "--network",
        choices=NETWORKS,
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
    found = vars(parser.parse_args(arguments))
    return Options(**found | {"address": tuple(found["address"])})


def _seconds(text: str) -> int:
    """Raises ValueError."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"'{text}' is no number of seconds")
    return int(text)
