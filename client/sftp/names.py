"""Paths and names of files, as bytes: what may be shown, and what a name may be. Pure."""

from __future__ import annotations

SPECIAL = (b"", b".", b"..")
MAX_NAME = 255  # bytes, of Linux's file systems
# Directories within each other: each holds a descriptor here, a handle there, and Python's stack.
MAX_DEPTH = 128


def shown(path: bytes) -> str:
    """The path on one line, without anything that a terminal would obey."""
    text = path.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def is_name(name: bytes) -> bool:
    """Whether it can be the name of one entry of a directory, and leads out of none."""
    return name not in SPECIAL and b"/" not in name and b"\0" not in name and len(name) <= MAX_NAME


def own(path: bytes) -> bytes:
    """The last part of a path; empty if that is no name of its own, as of `.` and `/`."""
    name = path.rstrip(b"/").rpartition(b"/")[2]
    return name if is_name(name) else b""


def below(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory."""
    if not name:
        return directory
    return directory + name if directory.endswith(b"/") else directory + b"/" + name


def parent(path: bytes) -> bytes:
    """The directory that a path's last part is in."""
    before, slash, _ = path.rstrip(b"/").rpartition(b"/")
    return before or slash or b"."


def in_home(path: bytes) -> bytes:
    """The path for SFTP, where relative ones begin at the login user's home, as `~/` does."""
    if path in (b"", b"~", b"~/"):
        return b"."
    return path[2:].lstrip(b"/") if path.startswith(b"~/") else path


def has_wildcard(path: bytes) -> bool:
    """Whether a shell would take it for a pattern."""
    return any(sign in path for sign in (b"*", b"?", b"["))
