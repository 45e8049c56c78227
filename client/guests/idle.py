"""Connections to instances that wait for their next use, in a directory that is this user's alone.

Each is a socket `WHOSE.RUN.NAME`, at which the process that holds the connection gives it to the
first who asks (`holder.py`). WHOSE: the service, this client's certificate and the instance; RUN:
what the service calls the time from the instance's start to its end; NAME: ssh's own socket, whose
name ends with the id of the process that holds it.
"""

from __future__ import annotations

import binascii
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.session import Session

DIRECTORY = "multipass-ssh"
SWITCH = "MULTIPASS_REUSE_SSH"  # 0: each session has a connection of its own
END = b"-----END"
SIGNATURE = 8  # characters in base64, so 48 random bits; a path has no room for more
IN_A_NAME = {ord("+"): "_", ord("/"): "-"}
ROOT = 0
PRIVATE = 0o700
OTHERS = 0o077  # mode bits
OTHERS_WRITE = 0o022
EXPANDED = "%$"  # characters that mean something else in ssh's ControlPath
MAX_PATH = 107  # bytes of a Unix socket's
SSH_ADDS = 17  # bytes that ssh adds to the path of its own socket while it makes it
NAME_BYTES = 3
PID_DIGITS = 7  # of the largest that Linux gives


def directory() -> str:
    """Where they are, or would be; empty where there must be none."""
    if os.environ.get(SWITCH) == "0":
        return ""
    user = os.geteuid()
    runtime, temporary = os.environ.get("XDG_RUNTIME_DIR", ""), os.environ.get("TMPDIR") or "/tmp"
    for place, name in ((runtime, DIRECTORY), (temporary, f"{DIRECTORY}-{user}")):
        expanded = set(EXPANDED) & set(place)  # by ssh, to another path
        if os.path.isabs(place) and not expanded and _keeps_its_names(place, user):
            return f"{place}/{name}"
    return ""


def _keeps_its_names(place: str, user: int) -> bool:
    """Whether no other user can put something else in the place of what this user has there."""
    try:
        status = os.stat(place)
    except OSError:
        return False
    closed = not status.st_mode & OTHERS_WRITE or status.st_mode & stat.S_ISVTX
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (ROOT, user) and bool(closed)


def make(place: str) -> bool:
    """Make the directory, if need be. False where it is open to others, or can't be made."""
    try:
        os.mkdir(place, PRIVATE)
        os.chmod(place, PRIVATE)  # in any umask
    except OSError:
        pass  # it is there, or can't be made
    return is_private(place)


def is_private(place: str) -> bool:
    """Whether the directory is there, no link, and no one else's."""
    try:
        status = os.lstat(place)
    except OSError:
        return False
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return own and not status.st_mode & OTHERS


def whose(session: Session, certificate: str, name: str) -> str:
    """The first part of a socket's name; empty where the certificate can't be read. `certificate`:
    the path of the client's. It has the end of the certificate's signature, which no other
    certificate has, and a checksum of service and instance: what tells these apart is RUN. (A
    digest would cost each command the 3 ms that importing hashlib takes.)"""
    try:
        with open(certificate, "rb") as file:
            text = file.read().partition(END)[0]
    except OSError:
        return ""
    signature = text.rstrip(b"\r\n=")[-SIGNATURE:].decode("ascii", "replace")
    instance = f"{session.address()} {name}".encode(errors="surrogateescape")
    prefix = f"{binascii.crc32(instance):08x}{signature.translate(IN_A_NAME)}"
    return prefix if prefix.replace("_", "").replace("-", "").isalnum() else ""


def stem(place: str, prefix: str, run: str) -> str:
    """What the path of the socket of a connection that is made now begins with; empty if that would
    be too long, or what the service says can't be part of a name."""
    if not run.isalnum():
        return ""
    path = f"{place}/{prefix}.{run}.{os.urandom(NAME_BYTES).hex()}"
    longest = path + "-" + "9" * PID_DIGITS
    fits = len(os.fsencode(longest)) <= MAX_PATH
    return path if fits and len(os.fsencode(control(longest))) <= MAX_PATH - SSH_ADDS else ""


def path_of(stem: str, holder: int) -> str:
    """`holder`: the id of the process that holds the connection."""
    return f"{stem}-{holder}"


def control(path: str) -> str:
    """The path of ssh's own socket; it is that of itself."""
    return f"{os.path.dirname(path)}/{path.rpartition('.')[2]}"


def run_of(path: str) -> str:
    return path.split(".")[-2]


def found(place: str, prefix: str = "") -> list[str]:
    """The paths of those that wait, also of some whose process was killed."""
    try:
        names = os.listdir(place) if is_private(place) else []
    except OSError:
        return []
    return [f"{place}/{name}" for name in names if name.startswith(prefix)]


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # its process did so


def sweep(place: str) -> None:
    """Remove what was left where processes were killed. (To connect to ssh's socket and say nothing
    would end ssh.)"""
    for path in found(place):
        if not _lives(path.rpartition("-")[2].partition(".")[0]):
            remove(path)


def _lives(process: str) -> bool:
    """Also where no one waits for ended processes, as in some containers."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1] != b"Z"
    except OSError:
        return False
