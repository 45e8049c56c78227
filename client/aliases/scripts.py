"""The scripts that run aliases by their names alone. A file that is no script is left alone."""

from __future__ import annotations

import os
import sys

from client.guests import quoting

HEAD, ARGUMENTS = "#!/bin/sh\n\n", ' -- "${@}"\n'
MODE = 0o755
MAX_SCRIPT = 8192  # bytes; a longer file is none of ours


class NotOurs(Exception):
    """Another file has the name of a script."""


def this_program() -> str:
    """The path of the client, in quotes for a shell."""
    path = os.path.abspath(sys.argv[0])
    for special in '\\"$`':
        path = path.replace(special, "\\" + special)
    return f'"{path}"'


def make(directory: str, name: str, runs: str) -> bool:
    """Whether it was made; False if an older one was replaced. Raises OSError, NotOurs.

    `runs` starts the client.
    """
    os.makedirs(directory, exist_ok=True)
    path = f"{directory}/{name}"
    known = os.path.lexists(path)
    if known and not _is_ours(path, name):
        raise NotOurs
    temporary = f"{directory}/.{os.getpid()}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, MODE)
    try:
        try:
            text = f"{HEAD}{runs} {quoting.quote(name)}{ARGUMENTS}"
            os.write(descriptor, text.encode("utf-8", "surrogateescape"))
            os.fchmod(descriptor, MODE)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    return not known


def remove(directory: str, name: str) -> None:
    """Raises OSError."""
    path = f"{directory}/{name}"
    if os.path.lexists(path) and _is_ours(path, name):
        os.unlink(path)


def _is_ours(path: str, name: str) -> bool:
    """Whether it is a script for this alias, of this client or of 1.16. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, MAX_SCRIPT + 1).decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)
    ends = {f" {written}{ARGUMENTS}" for written in (name, quoting.quote(name))}
    return text.startswith(HEAD) and text.endswith(tuple(ends))
