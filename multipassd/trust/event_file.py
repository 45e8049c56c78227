"""The client records' file on disk: lines are appended, or overwritten where there is no room.

One JSON object a line. Every function raises OSError; the caller holds the store's lock for what
writes.
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.system.files import (
    CREATE_FLAGS,
    READ_FLAGS,
    read_descriptor,
    show_change,
    sync_directory,
    write_all,
)

FINGERPRINT = re.compile(r"[0-9a-f]{64}")
FILE_LIMIT = 128 << 20  # 100,000 clients and as many events again at 300 bytes, with room


def checked(descriptor: int, owners: frozenset[int]) -> os.stat_result:
    """The status of a file that only `owners` could have written."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a regular file")
    if status.st_uid not in owners:
        raise OSError(f"it belongs to uid {status.st_uid}")
    if status.st_mode & 0o022:
        raise OSError("others may write to it")
    return status


def append(path: Path, owners: frozenset[int], data: bytes) -> None:
    """Whole lines, durable on return; after an error no half line is left."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, CREATE_FLAGS, 0o600)
        sync_directory(path.parent)
    try:
        size = checked(descriptor, owners).st_size
        try:
            write_all(descriptor, (b"" if _ends_line(descriptor, size) else b"\n") + data)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def overwrite(path: Path, owners: frozenset[int], events: Mapping[str, dict[str, Any]]) -> bool:
    """Put removals, by fingerprint, in the place of the enrolments. False where that fails."""
    descriptor = os.open(path, READ_FLAGS & ~os.O_ACCMODE | os.O_RDWR)
    try:
        status = checked(descriptor, owners)
        data = read_descriptor(descriptor, FILE_LIMIT, path)
        lines = {each: _last_enrolment(data, each) for each in events}
        for who, (start, length) in lines.items():
            event = {"event": "removed", "fingerprint": who, "at": events[who]["at"]}
            line = encode([event]).rstrip().ljust(length)
            if len(line) != length or os.pwrite(descriptor, line, start) < length:
                return False
        show_change(descriptor, status)
        os.fsync(descriptor)
        return True
    finally:
        os.close(descriptor)


def encode(events: Iterable[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in events).encode()


def decode(line: bytes) -> dict[str, Any] | None:
    """The event of a line; None if it is none of a client."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested to death
        return None
    if not isinstance(event, dict):
        return None
    fingerprint = event.get("fingerprint")
    fits = isinstance(fingerprint, str) and FINGERPRINT.fullmatch(fingerprint)
    return event if fits else None


def _ends_line(descriptor: int, size: int) -> bool:
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def _last_enrolment(data: bytes, fingerprint: str) -> tuple[int, int]:
    """Offset and length of the client's newest enrolment in the side file, without the line's end;
    both 0 if there is none."""
    end = len(data)
    while (at := data.rfind(fingerprint.encode(), 0, end)) >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        end = start
        stop = data.find(b"\n", at)
        line = data[start:stop]
        with suppress(ValueError, RecursionError, AttributeError):
            if json.loads(line).get("event") == "enrolled":
                return start, len(line)
    return 0, 0
