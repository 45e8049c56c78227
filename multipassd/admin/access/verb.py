"""A verb of multipass-trust: name, help, arguments, function."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multipassd.admin.access.locations import Place  # which needs this

DONE, FAILED, USAGE = 0, 1, 2  # exit codes, documented in multipass-trust(8)


class TrustError(Exception):
    """It was not done; the text says what, why and what to do."""


@dataclass(frozen=True)
class Verb:
    """`run` gets `options.dry_run` for every verb, and returns the exit code."""

    name: str
    summary: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Place, Namespace], int]


def add_repair(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--repair",
        action="store_true",
        help="first repair the trust store's owner and modes; its contents stay",
    )
