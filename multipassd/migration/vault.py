"""The vault of Multipass 1.16: which instances lie there, read without any change.

Only root writes there, and what others could have written is not believed: each directory and file
must be the owner's, writable for that user alone, and no symbolic link below the data directory.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue, ValidationError

from multipassd.instances.records.earlier_installation import MAX_FILE, RECORDS, SUBSTANCE
from multipassd.migration.error import CannotTake
from multipassd.migration.formats import OldImage, OldInstance, OldSnapshot, objects, reason_of
from multipassd.system.files import read_descriptor
from protocol import names

IMAGES = "vault/multipassd-instance-image-records.json"
INSTANCES = "vault/instances"
KEY = "ssh-keys/id_rsa"
SEED = "cloud-init-config.iso"
SNAPSHOT = re.compile(r"[0-9]{4}\.snapshot\.json")
HEAD, COUNT = "snapshot-head", "snapshot-count"
MAX_SEED = 16 << 20  # bytes; user data has at most one or two MiB
MAX_KEY = 16 << 10
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class Entry:
    """An instance of 1.16 as its files tell; `wrong`: why it can't be taken over."""

    name: str
    data: Path
    instance: OldInstance = field(default_factory=OldInstance)
    image: OldImage | None = None
    snapshots: tuple[OldSnapshot, ...] = ()
    head: int = 0
    taken: int = 0  # snapshots ever
    wrong: str = ""

    @property
    def directory(self) -> Path:
        return self.data / INSTANCES / self.name

    @property
    def disk(self) -> Path:
        """By the file's name alone, as the vault may have been moved."""
        assert self.image is not None
        return self.directory / Path(self.image.path).name


class Vault:
    """The data directory of one installation of 1.16."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def entries(self) -> list[Entry]:
        """All instances, by name. Raises CannotTake where none can be read."""
        self._check_directories()
        records = self._records()
        images = self._optional(self.data / IMAGES)
        found = [
            self._entry(name, record, images.get(name))
            for name, record in sorted(records.items())
            if not _is_ghost(record)
        ]
        return _apart(found)

    def key(self) -> bytes:
        """The private key that all its instances let in. Raises CannotTake."""
        path = self.data / KEY
        try:
            return _read(path, MAX_KEY)
        except OSError as error:
            raise CannotTake(f"the SSH key {path} can't be read: {reason_of(error)}") from None

    def _records(self) -> dict[str, JsonValue]:
        caches = (self.data.parent / "cache", self.data.parent.parent / "cache" / self.data.name)
        for path in (directory / RECORDS for directory in (self.data, *caches)):
            try:
                return objects(_read(path, MAX_FILE))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise CannotTake(f"{path} can't be read: {reason_of(error)}.") from None
        raise CannotTake(f"There is no {RECORDS} of Multipass 1.16 in {self.data}.")

    def _check_directories(self) -> None:
        """Raises CannotTake where another user could exchange what lies in them."""
        for path in (self.data / INSTANCES, (self.data / INSTANCES).parent):
            try:
                _check(path.lstat(), path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise CannotTake(f"{path} can't be believed: {error.strerror}.") from None

    def _optional(self, path: Path) -> dict[str, JsonValue]:
        try:
            return objects(_read(path, MAX_FILE))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CannotTake(f"{path} can't be read: {reason_of(error)}.") from None

    def _entry(self, name: str, record: JsonValue, image: JsonValue) -> Entry:
        try:
            return self._read_entry(name, record, image)
        except ValidationError as error:
            return Entry(name, self.data, wrong=f"its record can't be used: {reason_of(error)}")
        except CannotTake as error:
            return Entry(name, self.data, wrong=str(error))

    def _read_entry(self, name: str, record: JsonValue, image: JsonValue) -> Entry:
        if not names.valid(name):
            raise CannotTake(f"{name!r} is no name of an instance")
        instance = OldInstance.model_validate(record)
        if not isinstance(image, dict):
            raise CannotTake(f"{self.data / IMAGES} does not know it")
        old_image = OldImage.model_validate(image.get("image"))
        entry = Entry(name, self.data, instance, old_image)
        if Path(old_image.path).parts[-2:] != (name, entry.disk.name):
            raise CannotTake(
                f"its disk is {old_image.path}, which is not in its directory {entry.directory}"
            )
        snapshots, head, taken = _snapshots(entry.directory)
        return Entry(name, self.data, instance, old_image, snapshots, head, taken)


def _apart(entries: list[Entry]) -> list[Entry]:
    """An instance is known by its MAC address; of two with one the first by name can be taken."""
    first: dict[str, str] = {}
    found = []
    for entry in entries:
        other = first.setdefault(entry.instance.mac_addr or entry.name, entry.name)
        if other != entry.name and not entry.wrong:
            entry = replace(entry, wrong=f"its MAC address is that of {other}, too")
        found.append(entry)
    return found


def _is_ghost(record: JsonValue) -> bool:
    return isinstance(record, dict) and not any(record.get(key) for key in SUBSTANCE)


def _snapshots(directory: Path) -> tuple[tuple[OldSnapshot, ...], int, int]:
    """In the order of their indices, with the head and how many there ever were."""
    try:
        listed = sorted(name for name in os.listdir(directory) if SNAPSHOT.fullmatch(name))
        found = [_snapshot(directory / name) for name in listed]
        head, taken = (_number(directory / name) for name in (HEAD, COUNT))
    except OSError as error:
        raise CannotTake(f"{error.filename or directory}: {reason_of(error)}") from None
    if len({each.name for each in found}) < len(found):
        raise CannotTake("two of its snapshots have one name")
    return tuple(found), head, max(taken, *(each.index for each in found), 0, 0)


def _snapshot(path: Path) -> OldSnapshot:
    try:
        found = OldSnapshot.model_validate(objects(_read(path, MAX_FILE)).get("snapshot"))
        if not names.valid(found.name):
            raise ValueError(f"{found.name!r} is no name of a snapshot")
        if found.index != int(path.name[:4]):
            raise ValueError(f"it is of the snapshot {found.index}")
    except ValueError as error:
        raise CannotTake(f"{path} can't be used: {reason_of(error)}") from None
    return found


def _number(path: Path) -> int:
    try:
        text = _read(path, 32).strip()
    except FileNotFoundError:
        return 0
    if not (text.isdigit() and len(text) < 6):
        raise CannotTake(f"{path} holds no number")
    return int(text)


def seed(entry: Entry) -> bytes:
    """Raises CannotTake."""
    path = entry.directory / SEED
    try:
        return _read(path, MAX_SEED)
    except OSError as error:
        raise CannotTake(f"its seed {path} can't be read: {reason_of(error)}") from None


def _read(path: Path, limit: int) -> bytes:
    """Raises OSError."""
    with opened(path) as descriptor:
        return read_descriptor(descriptor, limit, path)


@contextmanager
def opened(path: Path, flags: int = FILE) -> Iterator[int]:
    """A regular file in a directory that is none of a link. Raises OSError."""
    parent = os.open(path.parent, DIRECTORY)
    try:
        _check(os.fstat(parent), path.parent)
        descriptor = os.open(path.name, flags, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        status = os.fstat(descriptor)
        _check(status, path, stat.S_ISREG)
        yield descriptor
    finally:
        os.close(descriptor)


def _check(status: os.stat_result, path: Path, kind: Callable[[int], bool] = stat.S_ISDIR) -> None:
    """Raises OSError where another user may have put it there."""
    if not kind(status.st_mode):
        what = "regular file" if kind is stat.S_ISREG else "directory"
        raise OSError(0, f"it is no {what}", str(path))
    if status.st_uid not in {0, os.geteuid()}:
        raise OSError(0, f"it belongs to uid {status.st_uid} instead of root", str(path))
    if status.st_mode & OTHERS_WRITE:
        raise OSError(0, "other users may write to it", str(path))
