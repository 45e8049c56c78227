"""Files and directories of an instance to this host. A file has a temporary name until it is whole.

What the instance sends may be hostile: `local.Directory` keeps it below the target, names and depth
are checked here, and no more is held in memory than is on the way.
"""

from __future__ import annotations

import os

from client import transfer_messages as messages
from client.sftp import local, names, protocol, reading, remote, sinks
from client.sftp.local import Directory
from client.sftp.names import shown
from client.sftp.pipeline import Group, Join, Start
from client.sftp.protocol import Attributes, Refused
from client.sftp.report import FileFailed, Telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.sftp.pipeline import Job
    from client.sftp.report import Report
    from client.sftp.session import Session

PRIVATE_FILE, PRIVATE_DIRECTORY = 0o600, 0o700  # where the instance tells no mode


class Place:
    """Where something is written: a name in an open directory, and its path for messages."""

    __slots__ = ("depth", "directory", "name", "path")

    def __init__(self, directory: Directory, name: bytes, path: bytes, depth: int = 0) -> None:
        self.directory = directory
        self.name = name
        self.path = path
        self.depth = depth


class Download:
    """Reads from one instance."""

    def __init__(self, session: Session, report: Report, recursive: bool, parents: bool) -> None:
        self._session = session
        self._report = report
        self._recursive = recursive
        self._parents = parents

    def path(self, source: bytes, target: bytes) -> Job[None]:
        """A file or directory, to the target or into the directory that it is."""
        found = yield from self._found(source)
        if found.is_directory():
            if not self._recursive:
                raise FileFailed(messages.omitting_remote(shown(source)))
        else:
            self._report.expect(found.size or 0)
            with Telling(messages.cannot_open_local, target):
                special = local.open_special(target)
            if special is not None:
                yield from self._to_special(source, found, special, target)
                return
        place = yield from self._place(source, target, found.is_directory())
        if not found.is_directory():
            yield from self._file(source, found, place)
        elif place.name:
            yield from self._directory(source, found, place)
        else:  # the root directory has no name: its content goes into the target itself
            yield from self._entries(source, place.directory, target, 1)

    def stream(self, source: bytes, descriptor: int) -> Job[None]:
        """The content of a file, in order."""
        found = yield from self._found(source)
        if found.is_directory():
            raise FileFailed(messages.omitting_remote(shown(source)))
        handle = yield from self._opened(source)
        sink = sinks.Stream(descriptor)
        yield from reading.copy(self._session, self._report, source, found, handle, sink)

    def _to_special(
        self, source: bytes, found: Attributes, descriptor: int, target: bytes
    ) -> Job[None]:
        try:
            handle = yield from self._opened(source)
            sink = sinks.Stream(descriptor)
            with Telling(messages.cannot_write_local, target):
                copy = reading.copy(self._session, self._report, source, found, handle, sink)
                yield from copy
        finally:
            os.close(descriptor)

    def _found(self, source: bytes) -> Job[Attributes]:
        try:
            with Telling(messages.cannot_access, source):
                found = yield from remote.status(self._session, source)
                if found is None:
                    raise Refused(protocol.NO_SUCH_FILE)
        except FileFailed as error:
            if names.has_wildcard(source):
                error.hint = messages.SHELL_WILDCARD
            raise
        return found

    def _place(self, source: bytes, target: bytes, is_directory: bool) -> Job[Place]:
        """The target, or the source's own name in the directory that it is."""
        if os.path.isdir(target):
            name = names.own(source)
            if not name:
                with Telling(messages.cannot_access, source):
                    name = names.own((yield from remote.real_path(self._session, source)))
            return Place(self._open(target), name, names.below(target, name))
        name = names.own(target)
        if not name or (target.endswith(b"/") and not is_directory):
            raise _no_target()
        return Place(self._open(names.parent(target)), name, target)

    def _open(self, path: bytes) -> Directory:
        if self._parents:
            with Telling(messages.cannot_create_local, path, quoted=True):
                os.makedirs(path, exist_ok=True)
        with Telling(messages.cannot_access, path):
            try:
                return Directory.at(path)
            except FileNotFoundError as error:
                raise _no_target() from error

    def _directory(self, source: bytes, found: Attributes, place: Place) -> Job[None]:
        if place.depth >= names.MAX_DEPTH:
            raise FileFailed(messages.cannot_access(shown(source), messages.TOO_DEEP))
        with Telling(messages.cannot_create_local, place.path, quoted=place.depth > 0):
            try:
                made = place.directory.made(place.name)
            except NotADirectoryError as error:
                raise FileFailed(messages.file_in_the_way_local(shown(place.path))) from error
        yield from self._entries(source, made, place.path, place.depth + 1)
        with Telling(messages.cannot_access, place.path):
            made.set_mode(PRIVATE_DIRECTORY if found.mode is None else found.mode)

    def _entries(self, source: bytes, made: Directory, target: bytes, depth: int) -> Job[None]:
        """All that the instance lists; returns when all of it has arrived."""
        send, group = self._session.send, Group()
        with Telling(messages.cannot_access, source):
            handle = protocol.handle((yield send(protocol.OPENDIR, source)))
            while listed := protocol.names((yield send(protocol.READDIR, handle))):
                for name, found in listed:
                    if name not in (b".", b".."):
                        place = Place(made, name, names.below(target, name), depth)
                        yield from self._entry(source, found, place, group)
            yield send(protocol.CLOSE, handle)
        yield Join(group)

    def _entry(self, source: bytes, found: Attributes, place: Place, group: Group) -> Job[None]:
        path = names.below(source, place.name)
        if not names.is_name(place.name):
            sentence = messages.cannot_access(shown(path), messages.NOT_A_NAME)
            self._report.tell(FileFailed(sentence))
            return
        if found.mode is None:
            found = (yield from remote.status(self._session, path, follow=False)) or found
        if found.is_directory():
            yield from self._report.of(self._directory(path, found, place))
        elif found.is_link():
            yield Start(self._report.of(self._link(path, place)), group)
        elif found.is_regular():
            yield Start(self._report.of(self._file(path, found, place)), group)
        else:
            sentence = messages.cannot_open_remote(shown(path), messages.NOT_REGULAR)
            self._report.tell(FileFailed(sentence))

    def _link(self, source: bytes, place: Place) -> Job[None]:
        with Telling(messages.cannot_access, source):
            leads_to = yield from remote.link_target(self._session, source)
            if b"\0" in leads_to:
                raise Refused(protocol.FAILURE)
        with Telling(messages.cannot_write_local, place.path):
            try:
                place.directory.link(leads_to, place.name)
            except IsADirectoryError as error:
                raise _in_the_way(place) from error

    def _file(self, source: bytes, found: Attributes, place: Place) -> Job[None]:
        handle = yield from self._opened(source)
        with Telling(messages.cannot_open_local, place.path):
            descriptor, temporary = place.directory.temporary()
        sink = sinks.File(descriptor)
        try:
            with Telling(messages.cannot_write_local, place.path):
                copy = reading.copy(self._session, self._report, source, found, handle, sink)
                yield from copy
                sink.finish(PRIVATE_FILE if found.mode is None else found.mode)
                try:
                    place.directory.replace(temporary, place.name)
                except IsADirectoryError as error:
                    raise _in_the_way(place) from error
            temporary = b""
        finally:  # also when the user interrupts
            os.close(descriptor)
            if temporary:
                place.directory.remove(temporary)

    def _opened(self, source: bytes) -> Job[bytes]:
        no_attributes = protocol.attributes()
        with Telling(messages.cannot_open_remote, source):
            send = self._session.send
            reply = yield send(protocol.OPEN, source, protocol.FOR_READING, no_attributes)
            return protocol.handle(reply)


def _no_target() -> FileFailed:
    return FileFailed(messages.NO_LOCAL_TARGET, messages.PARENTS_HINT)


def _in_the_way(place: Place) -> FileFailed:
    return FileFailed(messages.directory_in_the_way_local(shown(place.path)))
