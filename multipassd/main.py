"""The program: options, then either the service or the one-off enrolment of the installer."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from multipassd import log, service
from multipassd.installer import InstallerError, enrol_installer
from multipassd.listener import ListenError
from multipassd.options import parse_options
from multipassd.truststore import StoreError, TrustStore
from protocol import places

EXIT_FAILED = 1


def main(arguments: list[str]) -> int:
    """The exit code: 0 after a clean stop, 1 with a sentence on stderr, 2 for bad usage."""
    options = parse_options(arguments)
    os.umask(0o077)
    log.configure(options.logger, options.verbosity)
    try:
        if options.enrol_installer:
            print(_enrol(options.enrol_installer))
            return 0
        return asyncio.run(service.serve(options.address, options.idle_exit))
    except (ListenError, InstallerError, StoreError) as error:
        print(f"multipassd: {error}", file=sys.stderr)
        return EXIT_FAILED


def _enrol(user: str) -> str:
    store = TrustStore(_store_directory())
    store.load()
    return enrol_installer(user, store, os.environ)


def _store_directory() -> Path:
    return Path(places.daemon_data_directory(os.environ)) / Path(places.TRUST_STORE).parent
