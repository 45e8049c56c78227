"""The daemon's root and server certificates, ready to be shown to clients.

A root that is in order is kept, 1.16's too, since clients elsewhere may hold copies of it. A year
before it ends it is issued anew, with the same key and name, so that copies go on fitting until
they end. The former one is kept, so that `multipass-trust check` can say until when that is.

What was found in order is noted by the digest of all files: a start that finds the same ones takes
them as they are, without `cryptography`, which costs it 20 ms and 8 MiB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from multipassd.certificates.certificate_files import (
    CERTIFICATE,
    FORMER_ROOT,
    KEY,
    MAX_FILE,
    ROOT_KEY,
    SECRET_MODE,
    CertificateFiles,
)
from multipassd.system.files import write_atomically

CHECKED = "checked.json"
RULES = "1"  # what is looked at; another number lets no older note count

__all__ = ["CERTIFICATE", "FORMER_ROOT", "KEY", "MAX_FILE", "ROOT_KEY", "Identity", "ensure"]


class Identity(NamedTuple):
    """What the daemon shows to clients, PEM. `problem` says what could not be kept on disk."""

    certificate: bytes
    key: bytes
    not_after: datetime
    root: bytes  # what clients verify it against
    problem: str = ""

    def __repr__(self) -> str:
        return f"Identity(not_after={self.not_after}, problem={self.problem!r})"


def ensure(data: Path, root_certificate: Path, names: Sequence[str], now: float) -> Identity:
    """The daemon's identity, good for more than RENEW_BEFORE; cheap when all is in order.

    Never raises for what is wrong on disk: an identity that could not be saved serves all the same.
    """
    moment = datetime.fromtimestamp(now, UTC)
    files = CertificateFiles(data, root_certificate)
    return _as_noted(files, names, moment) or _repaired(files, names, moment)


def _as_noted(files: CertificateFiles, names: Sequence[str], now: datetime) -> Identity | None:
    """If these very files were found in order for these names, and are still in time."""
    root, root_key, certificate, key = _read(files)
    try:
        note = json.loads(files.read(files.directory / CHECKED))
        since, until = _moment(note["since"]), _moment(note["until"])
        not_after = _moment(note["not_after"])
        same = note["digest"] == _digest((root, root_key, certificate, key), names)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not same or not since <= now < until:
        return None
    files.let_clients_read()
    return Identity(certificate, key, not_after, root)


def _repaired(files: CertificateFiles, names: Sequence[str], now: datetime) -> Identity:
    from multipassd.certificates.certificate_repair import CertificateRepair

    repair = CertificateRepair(files, now)
    root = repair.root()
    server = repair.server(root, repair.usable(names))
    not_after = repair.not_after(server)
    if not files.problems:
        times = {"since": now, "until": repair.good_until(root, server), "not_after": not_after}
        _note(files, names, times)
    problem = " ".join(dict.fromkeys(files.problems))
    return Identity(server.certificate, server.key, not_after, root.certificate, problem)


def _note(files: CertificateFiles, names: Sequence[str], times: dict[str, datetime]) -> None:
    """By what is on disk. Where that fails the next start looks closely again."""
    note = {"digest": _digest(_read(files), names)}
    note |= {name: at.isoformat() for name, at in times.items()}
    with suppress(OSError):
        write_atomically(files.directory / CHECKED, json.dumps(note).encode(), SECRET_MODE)


def _read(files: CertificateFiles) -> tuple[bytes, bytes, bytes, bytes]:
    return (
        files.read(files.root_certificate),
        files.read_secret(ROOT_KEY),
        files.read(files.directory / CERTIFICATE),
        files.read_secret(KEY),
    )


def _digest(contents: Sequence[bytes], names: Sequence[str]) -> str:
    parts = [RULES.encode(), *contents, *(name.encode() for name in sorted(names))]
    lengths = b",".join(str(len(part)).encode() for part in parts)  # where each of them ends
    return hashlib.sha256(lengths + b"".join(parts)).hexdigest()


def _moment(text: str) -> datetime:
    """Raises ValueError, also for a moment without time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment
