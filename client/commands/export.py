"""`multipass export`: write a stopped instance to one file."""

from __future__ import annotations

import os

from client import export_messages as messages
from client import rpc
from client.command import Argument, Command
from client.errors import SUCCESS, CommandFailed, UsageError
from client.session import Session
from client.terminal import console
from client.terminal.progress import Progress
from protocol import grpc
from protocol.messages.exports import ExportReply, ExportRequest

EXPORT = grpc.path("export", grpc.EXPORTS_SERVICE)
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MODE = 0o600  # it holds the instance's private host key


def run(session: Session) -> int:
    if len(session.line.positionals) != 2:
        raise UsageError(messages.EXPORT_ARGUMENTS)
    name, path = session.line.positionals
    if os.path.basename(path) in ("", "-"):
        raise UsageError(messages.NO_FILE)
    if os.path.lexists(path):
        raise CommandFailed(messages.in_the_way(path))
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}.part")
    try:
        _write(session, name, partial)
        os.link(partial, path)  # unlike a rename, it replaces nothing
    except FileExistsError:
        raise CommandFailed(messages.in_the_way(path)) from None
    except OSError as error:
        raise CommandFailed(messages.not_written(path, error.strerror or str(error))) from None
    finally:
        _remove(partial)
    console.line_out(messages.exported(name, path))
    return SUCCESS


def _write(session: Session, name: str, path: str) -> None:
    """Raises OSError, CommandFailed."""
    request = ExportRequest(instance_name=name, verbosity_level=session.verbosity)
    size = written = 0
    file = os.open(path, NEW, MODE)
    try:
        with Progress() as progress:
            for reply in rpc.stream(session, EXPORT, request, ExportReply, None, progress.log):
                size = reply.size or size
                if reply.step:
                    progress.stage(reply.step)
                written += _append(file, reply.data)
                if size:
                    progress.percent(messages.SENDING, written * 100 // size)
        if not size or written != size:
            raise CommandFailed(messages.SHORT)
        os.fsync(file)
    finally:
        os.close(file)


def _append(file: int, data: bytes) -> int:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    return len(data)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # it was not made
        pass


COMMAND = Command(
    "export",
    "Write a stopped instance to one file, from which `import` makes an instance on\n"
    "this host or another. Its disk is compressed; snapshots and mounts are left out.",
    run,
    syntax="<name> <file>",
    arguments=(
        Argument("name", "Name of the instance; it must be stopped"),
        Argument("file", "File to write; it must not exist"),
    ),
)
