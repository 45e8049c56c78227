"""What is done with files in the instance: one job for each operation, for `Pipeline.run`."""

from __future__ import annotations

import os

from client.sftp import names, protocol
from client.sftp.protocol import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.sftp.pipeline import Job
    from client.sftp.protocol import Attributes
    from client.sftp.session import Session

NO_SPACE = "No space left on device"


def temporary(target: bytes) -> bytes:
    """A path beside `target`, to be renamed to it once the file is whole."""
    return names.below(names.parent(target), temporary_name())


def temporary_name() -> bytes:
    return b".multipass-%s.part" % os.urandom(6).hex().encode()


def status(session: Session, path: bytes, follow: bool = True) -> Job[Attributes | None]:
    """None if there is no such file. Raises Refused."""
    reply = yield session.send(protocol.STAT if follow else protocol.LSTAT, path)
    try:
        return protocol.stat_of(reply)
    except Refused as error:
        if error.code == protocol.NO_SUCH_FILE:
            return None
        raise


def real_path(session: Session, path: bytes) -> Job[bytes]:
    """The absolute path without links. Raises Refused."""
    found = protocol.names((yield session.send(protocol.REALPATH, path)))
    return found[0][0]


def link_target(session: Session, path: bytes) -> Job[bytes]:
    """Raises Refused."""
    found = protocol.names((yield session.send(protocol.READLINK, path)))
    return found[0][0]


def make_directory(session: Session, path: bytes) -> Job[bool]:
    """Whether it was made; False if it is there. Raises Refused."""
    try:
        private = protocol.attributes(mode=0o700)
        protocol.check((yield session.send(protocol.MKDIR, path, private)))
    except Refused:  # with a code that says nothing
        found = yield from status(session, path)
        if found is None or not found.is_directory():
            raise
        return False
    return True


def set_mode(session: Session, path: bytes, mode: int) -> Job[None]:
    """Raises Refused."""
    mode &= 0o777
    protocol.check((yield session.send(protocol.SETSTAT, path, protocol.attributes(mode=mode))))


def replace(session: Session, old: bytes, new: bytes) -> Job[None]:
    """Rename, also onto a file that is there. Raises Refused."""
    if protocol.POSIX_RENAME in session.extensions:
        protocol.check((yield session.extended(protocol.POSIX_RENAME, old, new)))
        return
    try:
        protocol.check((yield session.send(protocol.RENAME, old, new)))
    except Refused:
        protocol.check((yield session.send(protocol.REMOVE, new)))
        protocol.check((yield session.send(protocol.RENAME, old, new)))


def make_link(session: Session, target: bytes, path: bytes) -> Job[None]:
    """A symbolic link, also in place of a file. Raises Refused."""
    made = temporary(path)
    # OpenSSH has the arguments in this order, the reverse of the draft, and others follow it.
    protocol.check((yield session.send(protocol.SYMLINK, target, made)))
    try:
        yield from replace(session, made, path)
    except Refused:
        yield session.send(protocol.REMOVE, made)
        raise


def why(session: Session, error: Refused, path: bytes) -> Job[str]:
    """The reason of a failure; SFTP has no code for a full disk, so that is asked for."""
    if error.code == protocol.FAILURE and protocol.STATVFS in session.extensions:
        reply = yield session.extended(protocol.STATVFS, names.parent(path))
        try:
            if protocol.is_full(reply):
                return NO_SPACE
        except Refused:
            pass
    return error.why
