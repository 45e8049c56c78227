"""SFTP's requests on the files of one directory, with the rights that this process has.

A guest's root is hostile: it may send anything. What it may reach is settled by the process's user
and by `Paths`; what it may use up is limited here.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from multipassd.mounts import sftp_packets as packets
from multipassd.mounts.id_map import UNCHANGED, IdMap, NoSuchId
from multipassd.mounts.paths import Paths
from multipassd.mounts.sftp_packets import Attributes, BadPacket, Fields, Kind, Open, Status

MOST_HANDLES = 4096  # open at once; a build of a large project has some hundreds
NAMES_AT_ONCE = 128  # in an answer, with up to 255 bytes each
# Opening a pipe or a device must neither hang nor do anything.
OPEN_FLAGS = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# A program that the guest's root makes must not run with the rights of the directory's user.
FILE_MODE, DIRECTORY_MODE = 0o1777, 0o3777
NEW_FILE, NEW_DIRECTORY = 0o666, 0o777
MAX_OFFSET = (1 << 63) - 1

STATUSES = {
    errno.ENOENT: Status.NO_SUCH_FILE,
    errno.ENOTDIR: Status.NO_SUCH_FILE,
    errno.ELOOP: Status.NO_SUCH_FILE,
    errno.EACCES: Status.PERMISSION_DENIED,
    errno.EPERM: Status.PERMISSION_DENIED,
    errno.EROFS: Status.PERMISSION_DENIED,
}

File = int
Directory = Iterator[tuple[bytes, bytes]]  # names and attributes


class SftpFiles:
    """Answers one session's requests. Raises BadPacket for what is none."""

    def __init__(self, paths: Paths, uids: IdMap, gids: IdMap) -> None:
        self._paths = paths
        self._uids = uids
        self._gids = gids
        self._files: dict[bytes, File] = {}
        self._directories: dict[bytes, Directory] = {}
        self._names = (packets.number(each & 0xFFFFFFFF) for each in itertools.count(1))
        self._answers: Mapping[int | bytes, Callable[[int, Fields], bytes]] = {
            Kind.OPEN: self._open,
            Kind.LSTAT: lambda request, fields: self._stat(request, paths.lstat(fields.path())),
            Kind.STAT: lambda request, fields: self._stat(request, paths.stat(fields.path())),
            Kind.FSTAT: lambda request, fields: self._stat(request, os.fstat(self.file(fields))),
            Kind.OPENDIR: self._open_directory,
            Kind.READDIR: self._read_directory,
            Kind.REALPATH: lambda request, fields: _name(request, paths.realpath(fields.path())),
            Kind.READLINK: lambda request, fields: _name(request, paths.readlink(fields.path())),
            b"statvfs@openssh.com": lambda request, fields: packets.statvfs(
                request, paths.statvfs(fields.path())
            ),
            b"fstatvfs@openssh.com": lambda request, fields: packets.statvfs(
                request, os.fstatvfs(self.file(fields))
            ),
        }
        self._actions: Mapping[int | bytes, Callable[[Fields], None]] = {
            Kind.CLOSE: self._close,
            Kind.SETSTAT: lambda fields: self._change(fields.path(), fields.attributes()),
            Kind.FSETSTAT: lambda fields: self._change(self.file(fields), fields.attributes()),
            Kind.REMOVE: lambda fields: paths.unlink(fields.path()),
            Kind.MKDIR: self._make_directory,
            Kind.RMDIR: lambda fields: paths.rmdir(fields.path()),
            Kind.RENAME: self._rename,
            # The target comes first, as in OpenSSH and sshfs, against the draft.
            Kind.SYMLINK: lambda fields: paths.symlink(fields.path(), fields.path()),
            b"posix-rename@openssh.com": lambda fields: paths.rename(fields.path(), fields.path()),
            b"hardlink@openssh.com": lambda fields: paths.link(fields.path(), fields.path()),
            b"fsync@openssh.com": lambda fields: os.fsync(self.file(fields)),
        }

    def answer(self, kind: int, request: int, fields: Fields) -> bytes:
        """The answer to any request but READ and WRITE, which `serving.py` carries out."""
        what = bytes(fields.view()) if kind == Kind.EXTENDED else kind
        try:
            if act := self._actions.get(what):
                act(fields)
                return packets.status(request, Status.OK)
            if answer := self._answers.get(what):
                return answer(request, fields)
        except (OSError, NoSuchId) as error:
            return failure(request, error)
        return packets.status(request, Status.OP_UNSUPPORTED, "not supported")

    def file(self, fields: Fields) -> File:
        """The descriptor that the next field, a handle, stands for. Raises OSError."""
        found = self._files.get(bytes(fields.view()))
        if found is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return found

    def close(self) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()
        self._directories.clear()

    # -- handles ----------------------------------------------------------------------------------

    def _new_handle(self) -> bytes:
        """Raises OSError."""
        if len(self._files) + len(self._directories) >= MOST_HANDLES:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return next(self._names)

    def _open(self, request: int, fields: Fields) -> bytes:
        path, asked, wanted = fields.path(), fields.number(), fields.attributes()
        handle = self._new_handle()
        mode = NEW_FILE if wanted.mode is None else wanted.mode
        descriptor = self._paths.open(path, _flags(asked), mode & FILE_MODE)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is not a regular file")
        self._files[handle] = descriptor
        return packets.packet(Kind.HANDLE, packets.number(request), packets.string(handle))

    def _close(self, fields: Fields) -> None:
        handle = bytes(fields.view())
        if handle in self._files:
            os.close(self._files.pop(handle))  # may tell that a write failed
        elif self._directories.pop(handle, None) is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    # -- attributes -------------------------------------------------------------------------------

    def _stat(self, request: int, found: os.stat_result) -> bytes:
        shown = packets.attributes(found, self._uids, self._gids)
        return packets.packet(Kind.ATTRS, packets.number(request), shown)

    def _change(self, place: bytes | File, wanted: Attributes) -> None:
        """Raises OSError, NoSuchId."""
        on: Any = os if isinstance(place, File) else self._paths
        if wanted.size is not None:
            on.truncate(place, min(wanted.size, MAX_OFFSET))
        if wanted.owner is not None:
            uid, gid = wanted.owner
            user = -1 if uid == UNCHANGED else self._uids.to_host(uid)
            group = -1 if gid == UNCHANGED else self._gids.to_host(gid)
            on.chown(place, user, group)
        if wanted.mode is not None:
            directory = stat.S_ISDIR(on.stat(place).st_mode)
            on.chmod(place, wanted.mode & (DIRECTORY_MODE if directory else FILE_MODE))
        if wanted.times is not None:
            on.utime(place, wanted.times)

    # -- directories ------------------------------------------------------------------------------

    def _open_directory(self, request: int, fields: Fields) -> bytes:
        path = fields.path()
        handle = self._new_handle()
        self._directories[handle] = self._listing(path, self._paths.entries(path))
        return packets.packet(Kind.HANDLE, packets.number(request), packets.string(handle))

    def _listing(self, path: bytes, entries: Iterator[os.DirEntry[Any]]) -> Directory:
        for name in (b".", b".."):
            found = self._paths.lstat(os.path.join(path, name))
            yield name, packets.attributes(found, self._uids, self._gids)
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                yield os.fsencode(entry.name), packets.attributes(found, self._uids, self._gids)
            except FileNotFoundError:
                continue  # removed by now
            except OSError:
                yield os.fsencode(entry.name), packets.kind_only(_kind_of(entry))

    def _read_directory(self, request: int, fields: Fields) -> bytes:
        listing = self._directories.get(bytes(fields.view()))
        if listing is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        found = list(itertools.islice(listing, NAMES_AT_ONCE))
        if not found:
            return packets.status(request, Status.EOF)
        return _names(request, found)

    def _make_directory(self, fields: Fields) -> None:
        path, wanted = fields.path(), fields.attributes()
        mode = NEW_DIRECTORY if wanted.mode is None else wanted.mode
        self._paths.mkdir(path, mode & DIRECTORY_MODE)

    def _rename(self, fields: Fields) -> None:
        """Version 3's own replaces nothing."""
        old, new = fields.path(), fields.path()
        with suppress(FileNotFoundError):
            self._paths.lstat(new)
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        self._paths.rename(old, new)


def failure(request: int, error: OSError | NoSuchId) -> bytes:
    if isinstance(error, NoSuchId):
        return packets.status(request, Status.PERMISSION_DENIED, f"no id {error} on the host")
    code = STATUSES.get(error.errno or 0, Status.FAILURE)
    return packets.status(request, code, error.strerror or "failure")


def _flags(asked: int) -> int:
    reads, writes = asked & Open.READ, asked & Open.WRITE
    if not reads and not writes:
        raise BadPacket("neither to read nor to write")
    flags = OPEN_FLAGS | (os.O_RDWR if reads and writes else os.O_WRONLY if writes else os.O_RDONLY)
    for bit, flag in (
        (Open.APPEND, os.O_APPEND),
        (Open.CREATE, os.O_CREAT),
        (Open.TRUNCATE, os.O_TRUNC),
        (Open.EXCLUSIVE, os.O_EXCL),
    ):
        flags |= flag if asked & bit else 0
    return flags


def _kind_of(entry: os.DirEntry[Any]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    return stat.S_IFDIR if entry.is_dir(follow_symlinks=False) else stat.S_IFREG


def _name(request: int, path: bytes) -> bytes:
    return _names(request, [(path, packets.number(0))])


def _names(request: int, found: list[tuple[bytes, bytes]]) -> bytes:
    """The second name, a line of `ls -l`, is for people; sshfs ignores it."""
    parts = [part for name, shown in found for part in (*[packets.string(name)] * 2, shown)]
    return packets.packet(Kind.NAME, packets.number(request), packets.number(len(found)), *parts)
