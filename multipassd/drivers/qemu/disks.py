"""The disks, by qemu-img without rights on files that are opened here."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from multipassd.disk_helper import client, request
from multipassd.disk_helper.request import QemuImgError
from multipassd.drivers.interface import DriverError, SnapshotMissing
from multipassd.drivers.qemu import qcow2_header
from multipassd.system import file_copy, programs

IMG = request.PROGRAM
SECTOR = 512
BOOT_SIGNATURE = b"\x55\xaa"
BOOT_CODE = 440  # bytes of a master boot record before its table
READ = os.O_RDONLY | os.O_CLOEXEC
OWN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
# How qemu-img says that a disk has no snapshot of a tag: to `snapshot -d`, to `-a`, to `measure`.
NO_SUCH_TAG = (
    "snapshot not found",
    "Failed to load snapshot: No such file or directory",
    "Failed to load snapshot: Can't find snapshot",
)
NEW = OWN | os.O_CREAT | os.O_EXCL

_disks = client.Disks()


async def create(path: Path, base: Path, base_format: str, size: int) -> None:
    """An overlay: the base is read through it and never written, and not even looked at here."""
    with _made(path) as disk:
        await _img(
            "create", "-q", "-u", "-f", "qcow2", "-F", base_format, "-b", str(base),
            request.file(0), str(size),
            descriptors=[disk],
        )  # fmt: skip


async def grow(path: Path, size: int) -> None:
    await _on_own("resize", "-q", path=path, last=(str(size),))


async def copy(source: Path, path: Path, kind: str = "raw") -> None:
    """A file of this format as qcow2."""
    with _opened(source, READ) as found, _made(path) as disk:
        files = request.file(0), request.file(1)
        await _img("convert", "-q", "-f", kind, "-O", "qcow2", *files, descriptors=[found, disk])


async def flatten(path: Path, base: tuple[Path, str] | None, target: int) -> None:
    """A machine's disk with what it reads of its base, compressed, to an open file; without its
    snapshots."""
    with ExitStack() as files:
        own = files.enter_context(_opened(path, OWN))
        if _has_data_elsewhere(own):
            raise DriverError(f"The disk {path} is damaged, or keeps its data in another file.")
        _lend(own, path)
        _lend(target, path)
        descriptors = [target, own]
        disk: dict[str, object] = {"driver": "qcow2", "file": _file(1), "backing": None}
        if base is not None:
            descriptors.append(files.enter_context(_opened(base[0], READ)))
            disk["backing"] = {"driver": base[1], "file": _file(2)}
            if base[1] == "qcow2":
                disk["backing"] = {"driver": base[1], "file": _file(2), "backing": None}
        await _img(
            "convert", "-q", "-c", "-O", "qcow2", f"json:{json.dumps(disk)}", request.file(0),
            descriptors=descriptors,
        )  # fmt: skip


def _file(index: int) -> dict[str, str]:
    return {"driver": "file", "filename": request.file(index)}


async def clone(source: Path, path: Path, progress: file_copy.Progress) -> None:
    """A copy with all snapshots. What `progress` raises, in its thread, ends it."""
    with _opened(source, READ | os.O_NOFOLLOW | os.O_NONBLOCK) as disk:
        if not stat.S_ISREG(os.fstat(disk).st_mode) or _has_data_elsewhere(disk):
            raise DriverError(f"The disk {source} is damaged, or keeps its data in another file.")
        await asyncio.to_thread(file_copy.copy, disk, path, progress)
    with _opened(path, OWN) as made:
        _lend(made, path)


async def take_snapshot(path: Path, tag: str) -> None:
    """qemu-img flushes what it wrote before it ends."""
    await _on_own("snapshot", "-q", "-c", tag, path=path)


async def restore_snapshot(path: Path, tag: str) -> None:
    """Raises SnapshotMissing, DriverError."""
    await _on_own("snapshot", "-q", "-a", tag, path=path)


async def drop_snapshot(path: Path, tag: str) -> None:
    """Raises SnapshotMissing, DriverError."""
    await _on_own("snapshot", "-q", "-d", tag, path=path)


async def repair(path: Path) -> None:
    """Free clusters that nothing refers to, as a qemu-img that was killed leaves them."""
    await _on_own("check", "-q", "-r", "leaks", path=path)


async def snapshot_size(path: Path, tag: str) -> int:
    """Bytes of a qcow2 file with what the snapshot has beside the backing file. Also while QEMU
    has the disk. Raises SnapshotMissing, DriverError."""
    words = ("measure", "-U", "--output", "json", "-O", "qcow2", "-l", f"snapshot.name={tag}")
    answer = await _on_own(*words, path=path)
    try:
        return int(json.loads(answer)["required"])
    except (ValueError, TypeError, KeyError):
        raise DriverError(f"{IMG} measure of {path} gave no size.") from None


async def boots_by_bios(base: Path, base_format: str) -> bool:
    """Is there boot code in the first sector?"""
    with _opened(base, READ) as disk:
        sector = os.pread(disk, SECTOR, 0) if base_format == "raw" else await _first_sector(disk)
    return sector[510:512] == BOOT_SIGNATURE and any(sector[:BOOT_CODE])


async def _first_sector(disk: int) -> bytes:
    from tempfile import NamedTemporaryFile  # slow to import, and rarely needed

    with NamedTemporaryFile() as target:
        _lend(target.fileno(), Path(target.name))
        await _img(
            "dd", "--force-share", "-f", "qcow2", "-O", "raw", f"bs={SECTOR}", "count=1",
            f"if={request.file(0)}", f"of={request.file(1)}",
            descriptors=[disk, target.fileno()],
        )  # fmt: skip
        return os.pread(target.fileno(), SECTOR, 0)


async def _on_own(*arguments: str, path: Path, last: tuple[str, ...] = ()) -> str:
    """Work on a machine's disk; returns qemu-img's output. QEMU's user may have written anything
    there, so neither a link nor a file that the disk's header names is followed."""
    with _opened(path, OWN) as descriptor:
        if _has_data_elsewhere(descriptor):
            raise DriverError(f"The disk {path} is damaged, or keeps its data in another file.")
        _lend(descriptor, path)
        file = {"driver": "file", "filename": request.file(0)}
        disk = json.dumps({"driver": "qcow2", "backing": None, "file": file})
        return await _img(*arguments, f"json:{disk}", *last, descriptors=[descriptor])


def _has_data_elsewhere(descriptor: int) -> bool:
    try:
        return qcow2_header.read(descriptor).external_data
    except (OSError, ValueError):
        return True


@contextmanager
def _made(path: Path) -> Iterator[int]:
    """A new file that qemu-img may write."""
    with _opened(path, NEW) as descriptor:
        _lend(descriptor, path)
        yield descriptor


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise DriverError(f"The disk {path} can't be used: {error.strerror}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lend(descriptor: int, path: Path) -> None:
    try:
        client.lend(descriptor)
    except (OSError, QemuImgError) as error:
        raise DriverError(f"The disk {path} can't be given to {IMG}: {error}") from None


async def _img(*arguments: str, descriptors: Sequence[int]) -> str:
    """The output. Raises DriverError with its reason; SnapshotMissing."""
    try:
        answer = await _disks.ask(*arguments, descriptors=descriptors)
    except QemuImgError as error:
        raise DriverError(str(error)) from None
    if answer.code == request.MISSING:
        raise programs.ProgramMissing(IMG)
    if answer.code:
        missing = answer.reason.endswith(NO_SUCH_TAG)
        raise (SnapshotMissing if missing else DriverError)(
            f"{IMG} {arguments[0]} failed: {answer.reason}"
        )
    return answer.output
