"""Reads an open file of an instance, with as many requests on the way as there is room for."""

from __future__ import annotations

from collections import deque

from client import transfer_messages as messages
from client.sftp import protocol
from client.sftp.names import shown
from client.sftp.protocol import Refused
from client.sftp.report import failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.sftp.pipeline import Job
    from client.sftp.protocol import Attributes
    from client.sftp.report import Report
    from client.sftp.session import Pending, Session
    from client.sftp.sinks import File, Stream

    Asked = tuple[int, int, Pending]  # offset and length of what was asked for


def copy(
    session: Session,
    report: Report,
    source: bytes,
    about: Attributes,
    handle: bytes,
    sink: File | Stream,
) -> Job[None]:
    """Everything until the end of the file, which is closed then. Raises FileFailed, OSError."""
    try:
        yield from _content(session, report, about.size or 0, handle, sink)
    except Refused as error:
        raise failed(messages.cannot_read_remote, shown(source), error) from error
    finally:
        # After an error of this host, too. Its reply is awaited below, so that no more handles are
        # open in the instance than files are on the way.
        closing = session.send(protocol.CLOSE, handle)
    yield closing


def _content(
    session: Session, report: Report, size: int, handle: bytes, sink: File | Stream
) -> Job[None]:
    """`size` only says how far to ask ahead: it ends where the instance says that it does."""

    def ask(offset: int, length: int) -> Asked:
        place = protocol.offset(offset)
        return offset, length, session.send(protocol.READ, handle, place, length, expects=length)

    asked: deque[Asked] = deque()
    ahead = 0
    while True:
        while ahead <= size and (not asked or session.has_room()):
            length = min(session.most_read, size - ahead) or session.most_read
            asked.append(ask(ahead, length))
            ahead += length
        if not asked:
            asked.append(ask(ahead, session.most_read))
            ahead += session.most_read
        offset, length, pending = asked.popleft()
        data = protocol.data((yield pending), length)
        if not data:
            return
        sink.write(offset, data)
        report.moved(len(data))
        if len(data) < length:
            asked.appendleft(ask(offset + len(data), length - len(data)))
