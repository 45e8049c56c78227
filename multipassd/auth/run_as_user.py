"""Run a function as another user, in a child process: work in a user's home is done as that user.

The owner of a home controls its symbolic links, FIFOs and slow file systems. So a child with all of
the user's credentials and none of ours does the work, and its result is untrusted input: bytes of
limited length, within limited time.

Forks, so it is for programs that have no other threads.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NoReturn

LIMIT = 40_000  # bytes handed back: a certificate of the largest sensible kind
TIMEOUT = 30.0  # seconds: a home that needs the network may be slow
REAP_TIMEOUT = 2.0  # for a killed child; one that hangs in the kernel is left behind
SEARCH_PATH = "/usr/bin:/bin"
UMASK = 0o077
ERROR_LIMIT = 600  # bytes of a reason: a sentence with two long paths

_DONE, _FAILED = b"+", b"-"


class HomeError(Exception):
    """It could not be done as that user; the text is a sentence, safe to print."""


def run_as(
    user: pwd.struct_passwd, function: Callable[[], bytes], timeout: float = TIMEOUT
) -> bytes:
    """What `function` returns when it is run as `user`; untrusted. Raises HomeError.

    `function` finds a fresh umask and environment, and the root directory as its own.
    """
    if os.geteuid() not in (0, user.pw_uid):
        raise HomeError(f"Only root can act for {user.pw_name}, and this program is not root.")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _child(user, function, writer)
    os.close(writer)
    try:
        answer = _receive(reader, timeout)
    finally:
        os.close(reader)
        end_child(child)
    if answer[:1] == _DONE:
        return answer[1:]
    text = answer[1:].decode("utf-8", "replace") or "it ended without an answer"
    raise HomeError(f"It could not be done as {user.pw_name}: {_printable(text)}")


def _receive(reader: int, timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    answer = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            raise HomeError(f"The user's home did not answer within {timeout:g} seconds.")
        chunk = os.read(reader, LIMIT + 2 - len(answer))
        if not chunk:
            return bytes(answer)
        answer += chunk
        if len(answer) > LIMIT + 1:
            raise HomeError(f"The user's home handed back more than {LIMIT} bytes.")


def end_child(child: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # a sandbox may lack the right to
        os.kill(child, signal.SIGKILL)  # it has answered, or its time is up
    deadline = time.monotonic() + REAP_TIMEOUT
    with suppress(ChildProcessError):  # another part of the process reaps all children
        while os.waitpid(child, os.WNOHANG)[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)


def _child(user: pwd.struct_passwd, function: Callable[[], bytes], writer: int) -> NoReturn:
    """Never returns into the caller's code."""
    try:
        try:
            shed_files(writer)
            _become(user)
            _write(writer, _DONE + function())
        except BaseException as error:
            reason = _reason(error)
            _write(writer, _FAILED + reason.encode("utf-8", "replace")[:ERROR_LIMIT])
    finally:
        os._exit(0)


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def shed_files(kept: int) -> None:
    """The user gets none of this process's files and sockets but `kept`."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard != kept:
            os.dup2(null, standard)
    os.closerange(3, kept)
    os.closerange(max(3, kept + 1), os.sysconf("SC_OPEN_MAX"))


def _become(user: pwd.struct_passwd) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()  # no terminal of ours
    if os.geteuid() == 0:
        take_on(user.pw_uid, user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid))
    os.umask(UMASK)
    os.chdir("/")
    os.environ.clear()
    os.environ.update(
        HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name, PATH=SEARCH_PATH, LANG="C.UTF-8"
    )


def take_on(uid: int, gid: int, groups: Iterable[int]) -> None:
    """Root becomes this user, in this process and with no way back. Raises PermissionError."""
    os.setgroups(sorted(groups))
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)  # and the capabilities go with it
    if uid == 0:
        return
    try:
        os.setuid(0)  # unusual security bits of a process keep capabilities across setuid
    except PermissionError:
        return
    raise PermissionError("root's rights could not be given up")


def _write(writer: int, data: bytes) -> None:
    while data:
        data = data[os.write(writer, data) :]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:ERROR_LIMIT])
