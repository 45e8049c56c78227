"""The program: its command line, and errors to sentences and exit codes."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from multipassd.admin import VERBS
from multipassd.admin.access import documents
from multipassd.admin.access.locations import PROGRAM, find, may_change
from multipassd.admin.access.verb import FAILED, JSON, TEXT, TrustError
from multipassd.system import installation, log
from multipassd.trust.lock import StoreError
from protocol.version import VERSION

JOURNAL = "/run/systemd/journal/socket"


def main(arguments: list[str]) -> int:
    """The exit code: 0 done, 1 refused or failed with a sentence on stderr, 2 for bad usage."""
    options = _parser().parse_args(arguments)
    os.umask(0o077)
    _configure_log()
    place = find(os.environ, options.data, options.socket)
    complain = documents.complain if options.format == JSON else _complain
    try:
        if options.data and not options.data.is_dir():
            raise TrustError(
                f"There is no directory {options.data}. Name the service's data directory with "
                "--data. Nothing was changed."
            )
        if not may_change(place):
            raise TrustError(
                "Only root and the owner of the trust store may do this: "
                f"repeat it with sudo (the store is in {place.store_directory}).",
                kind="denied",
            )
        streams = options.verb.streams or options.format != JSON
        run = options.verb.run if streams else documents.running(options.verb)
        code: int = run(place, options)
        sys.stdout.flush()  # or a full disk behind it would pass for success
        return code
    except TrustError as error:
        complain(error)
    except StoreError as error:
        complain(TrustError(str(error)))
    except OSError as error:
        where = error.filename or ("standard output" if _output_is_stuck() else place.data)
        if not isinstance(error, BrokenPipeError):  # `| head` has seen what it wanted
            complain(TrustError(f"{where}: {error.strerror}."))
        _drop_output()
    except KeyboardInterrupt:
        complain(TrustError("stopped."))
    return FAILED


def _complain(error: TrustError) -> None:
    print(f"{installation.here().trust}: {error}", file=sys.stderr)


def _output_is_stuck() -> bool:
    """What stdout did not take is kept, and is refused again."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _drop_output() -> None:
    """What stdout did not take would be tried again at exit, which would change the exit code."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _configure_log() -> None:
    """The audit is for the journal; without one only what went wrong is worth telling."""
    if os.path.exists(JOURNAL):
        # With the object `journalctl -u multipassd` and `systemctl status` tell it, too.
        log.configure(
            "platform",
            "info",
            {
                "SYSLOG_IDENTIFIER": PROGRAM,
                "OBJECT_SYSTEMD_UNIT": installation.here().daemon_unit,
            },
        )
    else:
        log.configure("stderr", "warning")
        log.get("audit").setLevel(logging.WARNING)  # stdout tells the same


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog=installation.here().trust,
        description="Say who may use the Multipass service; it may be up, down or broken.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    common = ArgumentParser(add_help=False)
    common.add_argument("--dry-run", action="store_true", help="only say what would be done")
    common.add_argument("--data", type=Path, metavar="DIR", help="the service's data directory")
    common.add_argument("--socket", type=Path, metavar="PATH", help="the service's Unix socket")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for verb in VERBS:
        own = verbs.add_parser(
            verb.name,
            help=verb.summary,
            description=f"{verb.summary[0].upper()}{verb.summary[1:]}.",
            parents=[common],
            allow_abbrev=False,
        )
        verb.arguments(own)
        if not verb.streams:
            own.add_argument("--format", choices=(TEXT, JSON), default=TEXT)
        own.set_defaults(verb=verb, usage_error=own.error, document={})
    return parser
