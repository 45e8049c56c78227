"""Files and directories of this host to an instance.

A file has a temporary name until it is whole.
"""

from __future__ import annotations

import os
import stat
from collections import deque

from client import transfer_messages as messages
from client.sftp import local, names, protocol, remote, sources
from client.sftp.names import shown
from client.sftp.pipeline import Group, Input, Join, Start
from client.sftp.protocol import Refused
from client.sftp.report import FileFailed, Telling, failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.sftp.pipeline import Job
    from client.sftp.report import Report
    from client.sftp.session import Pending, Session
    from client.sftp.sources import Source

STREAM_NAME = b"stream_output.dat"  # of a stream into a directory
NEW = protocol.FOR_WRITING | protocol.CREATE | protocol.EXCLUSIVE


class Upload:
    """Writes into one instance."""

    def __init__(self, session: Session, report: Report, recursive: bool, parents: bool) -> None:
        self._session = session
        self._report = report
        self._recursive = recursive
        self._parents = parents
        self.unfinished: set[bytes] = set()  # temporary files, to be removed after an interruption

    def path(self, source: bytes, target: bytes) -> Job[None]:
        """A file or directory, to the target or into the directory that it is."""
        with Telling(messages.cannot_access, source):
            is_directory = stat.S_ISDIR(os.stat(source).st_mode)
        if is_directory and not self._recursive:
            raise FileFailed(messages.omitting_local(shown(source)))
        own = names.own(source) or names.own(os.path.realpath(source))
        final, special = yield from self._final(target, own)
        if is_directory:
            yield from self._directory(source, final)
            return
        with Telling(messages.cannot_open_local, source):
            descriptor = os.open(source, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        yield from self._file(sources.opened(descriptor, source), final, special)

    def stream(self, descriptor: int, target: bytes) -> Job[None]:
        """What can be read from a descriptor until its end."""
        final, special = yield from self._final(target, STREAM_NAME)
        yield from self._file(sources.Stream(descriptor), final, special)

    def _final(self, target: bytes, own: bytes) -> Job[tuple[bytes, bool]]:
        """The path to write to, and whether that is neither file nor directory, such as a pipe."""
        try:
            there = yield from remote.status(self._session, target)
            if there is None and self._parents:
                yield from self._make_parents(names.parent(target))
            if there is None:
                return target, False
            if there.is_directory():
                return names.below(target, own), False
            # A link at the target itself stays one: the user named it.
            return (yield from remote.real_path(self._session, target)), not there.is_regular()
        except Refused as error:
            raise failed(messages.cannot_access, shown(target), error) from error

    def _make_parents(self, path: bytes) -> Job[None]:
        missing = []
        while (yield from remote.status(self._session, path)) is None:
            missing.append(path)
            path = names.parent(path)
        for each in reversed(missing):
            try:
                yield from remote.make_directory(self._session, each)
                yield from remote.set_mode(self._session, each, 0o755)
            except Refused as error:
                raise failed(messages.cannot_create_remote, f'"{shown(each)}"', error) from error

    def _directory(self, source: bytes, target: bytes) -> Job[None]:
        with Telling(messages.cannot_access, source):
            directory = local.Directory.at(source)
        try:
            yield from remote.make_directory(self._session, target)
        except Refused as error:
            if error.code == protocol.NO_SUCH_FILE:
                raise _no_target() from error
            raise failed(messages.cannot_create_remote, shown(target), error) from error
        yield from self._content(directory, source, target, 1)

    def _content(
        self, directory: local.Directory, source: bytes, target: bytes, depth: int
    ) -> Job[None]:
        """All that is in a directory; then its own mode, which may forbid to write there."""
        group = Group()
        with Telling(messages.cannot_access, source):
            entries = list(directory.entries())
            mode = directory.mode()
        for name, kind in entries:
            path, to = names.below(source, name), names.below(target, name)
            if kind == local.DIRECTORY:
                job = self._subdirectory(directory, name, path, to, depth)
                yield from self._report.of(job)
            elif kind == local.LINK:
                yield Start(self._report.of(self._link(directory, name, path, to)), group)
            else:
                yield Start(self._report.of(self._entry(directory, name, path, to)), group)
        yield Join(group)
        try:
            yield from remote.set_mode(self._session, target, mode)
        except Refused as error:
            raise failed(messages.cannot_create_remote, f'"{shown(target)}"', error) from error

    def _subdirectory(
        self, directory: local.Directory, name: bytes, source: bytes, target: bytes, depth: int
    ) -> Job[None]:
        if depth >= names.MAX_DEPTH:
            raise FileFailed(messages.cannot_access(shown(source), messages.TOO_DEEP))
        with Telling(messages.cannot_access, source):
            inner = directory.inner(name)
        try:
            yield from remote.make_directory(self._session, target)
        except Refused as error:
            raise failed(messages.cannot_create_remote, f'"{shown(target)}"', error) from error
        yield from self._content(inner, source, target, depth + 1)

    def _link(
        self, directory: local.Directory, name: bytes, source: bytes, target: bytes
    ) -> Job[None]:
        with Telling(messages.cannot_access, source):
            leads_to = directory.link_target(name)
        try:
            yield from remote.make_link(self._session, leads_to, target)
        except Refused as error:
            raise (yield from self._not_replaced(error, target)) from error

    def _entry(
        self, directory: local.Directory, name: bytes, source: bytes, target: bytes
    ) -> Job[None]:
        with Telling(messages.cannot_open_local, source):
            descriptor = directory.open(name)
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            os.close(descriptor)
            raise FileFailed(messages.cannot_open_local(shown(source), messages.NOT_REGULAR))
        yield from self._file(sources.Source(descriptor, about, source), target, False)

    def _file(self, source: Source, target: bytes, special: bool) -> Job[None]:
        """`special`: written where it is, without a temporary name."""
        with source:
            name = target if special else remote.temporary(target)
            flags = protocol.FOR_WRITING if special else NEW
            try:
                private = protocol.attributes(mode=0o600)
                reply = yield self._session.send(protocol.OPEN, name, flags, private)
                handle = protocol.handle(reply)
            except Refused as error:
                if error.code == protocol.NO_SUCH_FILE:
                    raise _no_target() from error
                raise failed(messages.cannot_open_remote, shown(target), error) from error
            if special:
                yield from self._written(source, handle, target, whole=False)
                return
            self.unfinished.add(name)
            try:
                yield from self._written(source, handle, target, whole=True)
                yield from self._named(name, target)
            except FileFailed:
                yield self._session.send(protocol.REMOVE, name)
                self.unfinished.discard(name)
                raise
            self.unfinished.discard(name)

    def _written(self, source: Source, handle: bytes, target: bytes, whole: bool) -> Job[None]:
        """All content, with the permissions if the file is `whole` then; and the file is closed."""
        send = self._session.send
        sent: deque[Pending] = deque()
        closed = False
        try:
            yield from self._sent(source, handle, sent)
            if whole:
                sent.append(send(protocol.FSETSTAT, handle, source.attributes()))
            sent.append(send(protocol.CLOSE, handle))
            closed = True
            while sent:
                protocol.check((yield sent.popleft()))
        except (Refused, FileFailed) as error:
            if not closed:
                yield send(protocol.CLOSE, handle)
            if isinstance(error, FileFailed):
                raise
            reason = yield from remote.why(self._session, error, target)
            raise failed(messages.cannot_write_remote, shown(target), error, reason) from error

    def _sent(self, source: Source, handle: bytes, sent: deque[Pending]) -> Job[None]:
        """Send the content; leaves in `sent` what was not answered yet."""
        session = self._session
        chunks = source.chunks(session.most_write)
        while True:
            if source.waits:
                yield Input(source.descriptor)
            chunk = next(chunks, None)
            if chunk is None:
                return
            while sent and not session.has_room():
                protocol.check((yield sent.popleft()))
            sent.append(session.write(handle, *chunk))
            self._report.moved(len(chunk[1]))

    def _named(self, name: bytes, target: bytes) -> Job[None]:
        """Give a whole file its final name."""
        try:
            yield from remote.replace(self._session, name, target)
        except Refused as error:
            raise (yield from self._not_replaced(error, target)) from error

    def _not_replaced(self, error: Refused, target: bytes) -> Job[FileFailed]:
        try:
            there = yield from remote.status(self._session, target, follow=False)
        except Refused:
            there = None
        if there is not None and there.is_directory():
            return FileFailed(messages.directory_in_the_way_remote(shown(target)))
        reason = yield from remote.why(self._session, error, target)
        return failed(messages.cannot_write_remote, shown(target), error, reason)


def _no_target() -> FileFailed:
    return FileFailed(messages.NO_REMOTE_TARGET, messages.PARENTS_HINT)
