"""The image worker: one task from stdin, answers to stdout, a JSON line each (worker_protocol.py).

It ends when stdin does, i.e. with the daemon's request. stdin and stdout may be one socket, so that
a service manager can start it in a sandbox with a network of its own.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from multipassd.disk_helper import client
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.errors import ImageError, NoRoom, OverTcp, Unreachable
from multipassd.images.image import ROOTFS, Progress, Transfer
from multipassd.images.open_as_caller import FILE, open_as
from multipassd.images.worker import prepare, refresh
from multipassd.images.worker_protocol import Answer, Describe, Refresh, Task, task_of
from multipassd.system import rights
from multipassd.system.files import write_all
from multipassd.system.json_request import Line, RequestFailed

STDIN, STDOUT = 0, 1
MAX_TASK = 1 << 20
CHUNK = 64 << 10
EXIT_ABANDONED = 3
MAX_MEMORY = 1 << 30  # bytes of addresses; what is packed best takes 256 MiB to unpack


def main() -> int:
    os.umask(0o077)
    try:
        task = task_of(_read_line())
    except RequestFailed:
        return EXIT_ABANDONED  # the daemon ended while it asked
    try:
        answer = _run(task)
    except (ImageError, NoRoom) as error:
        answer = Answer(
            error=error.message,
            no_room=isinstance(error, NoRoom),
            unreachable=isinstance(error, Unreachable),
        )
    except OSError as error:
        answer = Answer(error=f"The image is not available: {error}.")
    _send(answer)
    os._exit(0)  # the thread may be reading stdin; there is nothing to clean up


def _run(task: Task) -> Answer:
    """Files that need rights are opened first; the work on names that the daemon can write is done
    without them."""
    path, file = _opened(task)
    place = _place(task)
    rights.drop_capabilities(_unneeded())
    threading.Thread(target=_end_with_caller, daemon=True).start()  # after the only fork
    if isinstance(task, Refresh):
        assert place is not None
        refresh.refresh(task, place)
        return Answer(done=True)
    if isinstance(task, Describe):
        if file is not None:
            return Answer(done=True, image=prepare.describe_file(task.url, path, file))
        return Answer(done=True, image=prepare.describe_url(task))
    assert place is not None
    if task.wanted == ROOTFS:
        _limit_memory()
    return Answer(done=True, base=prepare.prepare(task, place, file, _report))


def _limit_memory() -> None:
    """Of an archive's headers many may belong to one file, and are kept until they are read."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = MAX_MEMORY if hard == resource.RLIM_INFINITY else min(MAX_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _unneeded() -> Iterable[int]:
    """Capabilities that nothing needs from now on. A child that runs qemu-img needs some to give up
    its rights."""
    if os.environ.get(client.SOCKET):
        return rights.ALL
    return rights.DAC_OVERRIDE, rights.DAC_READ_SEARCH


def _opened(task: Task) -> tuple[str, BinaryIO | None]:
    """Path and file if the image is a file of this host; else empty and None. Raises ImageError."""
    if isinstance(task, Refresh):
        return "", None
    url = task.url if isinstance(task, Describe) else task.image.url
    if not url.startswith(FILE):
        return "", None
    if task.caller is None:
        raise OverTcp(url)
    return open_as(task.caller.credentials, url)


def _place(task: Task) -> CacheDirectory | None:
    """The directory of the cache that it writes to."""
    if isinstance(task, Describe):
        return None
    path = Path(task.file).parent if isinstance(task, Refresh) else Path(task.directory)
    return CacheDirectory.at(path)


def _report(kind: Progress, percent: int, transfer: Transfer | None) -> None:
    _send(Answer(progress=(int(kind), percent), transfer=transfer))


def _send(answer: Answer) -> None:
    write_all(STDOUT, answer.to_json(defaults=False) + b"\n")


def _read_line() -> bytes:
    """Raises RequestFailed."""
    line = Line(MAX_TASK)
    while not line.feed(os.read(STDIN, CHUNK)):
        pass
    return line.data


def _end_with_caller() -> None:
    while os.read(STDIN, CHUNK):
        pass
    os._exit(EXIT_ABANDONED)
