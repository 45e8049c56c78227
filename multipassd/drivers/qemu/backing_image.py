"""The files that a machine is started from: no file but these and its image is opened by QEMU.

QEMU's user may have written anything into the headers of the disk and of the UEFI variables, so
QEMU opens no file that they name but the kept image that the instance's record names. No other
name is looked for: what is said about other files would tell whether they exist.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multipassd.drivers import machine_files
from multipassd.drivers.interface import DriverError, Machine
from multipassd.drivers.qemu import command_line, qcow2_header
from multipassd.drivers.qemu.qcow2_header import Header
from multipassd.drivers.qemu.runner import shown
from multipassd.images import cache

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ID_DIGITS = 12  # enough to launch by


def check(machine: Machine, images: Path) -> None:
    """Raises DriverError where a file of the machine, or the image that its disk stands on, is
    missing, or where a header names any other file. `images`: the directory of kept images."""
    if lost := machine_files.missing(machine.directory):
        raise _missing(machine.name, lost)
    with _opened(machine.name, command_line.seed(machine)):
        pass
    for path in command_line.writable(machine).values():
        header = _header(machine.name, path)
        if header.external_data:
            raise _left_alone(machine.name, path, "keeps its data in another file")
        if not header.backing:
            continue
        if path != command_line.disk(machine):
            raise _left_alone(machine.name, path, _stands_on(header))
        _check_backing(machine, path, header, images)


def of(disk: Path) -> tuple[Path, str] | None:
    """The image that a disk, which was checked, stands on, and its format; None if on none. Raises
    DriverError."""
    header = _header(disk.parent.name, disk)
    return (Path(header.backing), header.backing_format) if header.backing else None


def _check_backing(machine: Machine, disk: Path, header: Header, images: Path) -> None:
    image = images / machine.image / cache.DISK
    named = Path(header.backing)
    if not machine.image or named.parts[-3:] != image.parts[-3:]:
        raise _left_alone(machine.name, disk, f"{_stands_on(header)}, not on its image {image}")
    if not os.path.exists(image):
        raise _image_gone(machine, image)
    kept = cache.load(image.parent)
    if kept is None:
        record = image.with_name(cache.RECORD)
        raise DriverError(f"{machine.name}: {record}, which names its image's format, is damaged.")
    if header.backing != str(image):
        raise DriverError(
            f"{machine.name}: its disk stands on the image {shown(header.backing)}, which is at "
            f"{image} now. Move the storage back, or tell the disk the new place: "
            f"`qemu-img rebase -u -f qcow2 -F {kept.format} -b {image} {disk}`."
        )
    if header.backing_format != kept.format:
        found = shown(header.backing_format) or "unknown"
        why = f"says that the format of its image is {found}, and that is {kept.format}"
        raise _left_alone(machine.name, disk, why)


def _header(name: str, path: Path) -> Header:
    with _opened(name, path) as descriptor:
        try:
            return qcow2_header.read(descriptor)
        except ValueError as error:
            raise _left_alone(name, path, f"can't be used: {error}") from None
        except OSError as error:
            raise _left_alone(name, path, f"can't be read: {error.strerror}") from None


@contextmanager
def _opened(name: str, path: Path) -> Iterator[int]:
    """A regular file, no link."""
    try:
        if path.is_symlink():
            raise _left_alone(name, path, "is a symbolic link")
        descriptor = os.open(path, READ)
    except FileNotFoundError:
        raise _missing(name, path) from None
    except OSError as error:
        raise _left_alone(name, path, f"can't be opened: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _left_alone(name, path, "is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _stands_on(header: Header) -> str:
    return f"stands on {shown(header.backing)}"


def _left_alone(name: str, path: Path, why: str) -> DriverError:
    return DriverError(
        f"{name} is not started: {path} {why}. It is left alone. Restore it from a backup, or "
        f"remove the instance by `multipass delete --purge {name}`."
    )


def _missing(name: str, path: Path) -> DriverError:
    return DriverError(f"{name} can't be started: {path} is missing. {machine_files.cure(name)}")


def _image_gone(machine: Machine, image: Path) -> DriverError:
    return DriverError(
        f"{machine.name}: its disk holds only what differs from the image {image}, and that is "
        "gone. Put the very file back from a backup. If it came from a list that still has it, "
        f"`multipass launch {machine.image[:ID_DIGITS]}` fetches it again; the URL or file that it "
        "came from does so, too, as long as it has not changed."
    )
