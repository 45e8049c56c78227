"""A verb of multipass-trust: name, help, arguments, function."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multipassd.admin.access.locations import Place  # which needs this

DONE, FAILED, USAGE = 0, 1, 2  # exit codes, documented in multipass-trust(8)


JSON, TEXT = "json", "text"


class TrustError(Exception):
    """It was not done. `problem` says what and why, `cure` what to do if that is one sentence of
    its own; `kind` is a word for programs."""

    def __init__(self, problem: str, cure: str = "", kind: str = "failed") -> None:
        self.problem = problem
        self.cure = cure
        self.kind = kind
        super().__init__(" ".join(filter(None, (problem, cure))))


@dataclass(frozen=True)
class Verb:
    """`run` gets `options.dry_run` and `options.format` for every verb, and returns the exit code.

    With `--format json` what it prints becomes the list `said` of a document, which it may fill
    with more by `options.document`. `streams`: it has formats of its own, and writes them itself.
    """

    name: str
    summary: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Place, Namespace], int]
    streams: bool = False


def add_repair(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--repair",
        action="store_true",
        help="first repair the trust store's owner and modes; its contents stay",
    )
