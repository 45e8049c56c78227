"""The host's virtiofsd: where it is, whether it will do, and how it is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from multipassd.mounts.order import Order

PROGRAM = "/usr/libexec/virtiofsd"  # of Debian's and Ubuntu's package virtiofsd, in Rust
ROOT = "MULTIPASS_VIRTIOFSD_ROOT"  # a directory that has another system, whose virtiofsd is run
# Without it the ids of the guest's files would be those of the host. Since 1.13.
NEEDED = b"translate-uid"
MAX_PROGRAM = 64 << 20  # bytes that are searched; it has 3 MB
EVERY_ID = 0xFFFFFFFF  # how many there are, without the one that means "none"
MOST_FILES = 1 << 19  # open at once: each name that the guest's kernel keeps has a descriptor
READY = b"Waiting for vhost-user socket connection"
# It would keep these for itself where the directory's user is root, and has none to keep.
CAPABILITIES = (
    "chown", "dac_override", "fowner", "fsetid", "setgid", "setuid", "mknod", "setfcap",
)  # fmt: skip


def root() -> str:
    return os.environ.get(ROOT, "/")


def missing() -> str:
    """What this host lacks to serve native mounts, a clause with what to do; empty if nothing."""
    path = Path(root() + PROGRAM)
    try:
        with open(path, "rb") as file:
            suits = NEEDED in file.read(MAX_PROGRAM)
    except OSError:
        return (
            f"native mounts need virtiofsd, and there is no {PROGRAM} on this host. Install the "
            "package virtiofsd, or mount it without `--type native`"
        )
    if not suits:
        return (
            f"native mounts need virtiofsd 1.13 or later, and {PROGRAM} on this host is older. "
            "Mount it without `--type native`"
        )
    return ""


def command(order: Order, listening: int, directory: str) -> list[str]:
    """All that the guest does is done by the user who runs it, with that user's ids on the host;
    in the guest, the mapped id is shown as its pair, any other one as it is."""
    words = [
        PROGRAM, f"--fd={listening}", f"--shared-dir={directory}",
        "--sandbox=none",  # its process is shut in already
        "--rlimit-nofile=0",  # it is set already
        "--modcaps=" + ":".join(f"-{each}" for each in CAPABILITIES),
    ]  # fmt: skip
    for which, own, pairs in (("uid", order.uid, order.uids), ("gid", order.gid, order.gids)):
        words += _translated(f"--translate-{which}", own, pairs)
    return words


def _translated(option: str, own: int, pairs: Sequence[tuple[int, int]]) -> list[str]:
    to_host = [f"{option}=squash-guest:0:{own}:{EVERY_ID}"]
    return to_host + [f"{option}=host:{host}:{guest}:1" for host, guest in pairs]
