"""The loop of the SFTP server: packets from a socket, answers to it. Reads and writes, which are
most of the work, are carried out here."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from multipassd.mounts import sftp_packets as packets
from multipassd.mounts.sftp_files import MAX_OFFSET, SftpFiles, failure
from multipassd.mounts.sftp_packets import HEADER, BadPacket, Fields, Kind, Status

BUFFER = 2 * packets.MAX_PACKET  # bytes that are received at most before some are worked off
SOCKET_BUFFER = 1 << 20  # bytes; the kernel's limit is mostly less
_LENGTH = 4  # bytes of the field in front of each packet, which does not count itself


class Session:
    """One connection's packets. Memory is bounded by BUFFER and one answer: a peer that does not
    read its answers is not read from."""

    def __init__(self, connection: socket.socket, files: SftpFiles) -> None:
        self._connection = connection
        self._files = files

    def serve(self) -> None:
        """Until the peer hangs up. Raises BadPacket for what is no SFTP, OSError."""
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._connection.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        buffer = bytearray(BUFFER)
        view = memoryview(buffer)
        filled = 0
        while received := self._connection.recv_into(view[filled:]):
            filled += received
            used = self._work_off(view[:filled])
            if used:
                rest = filled - used
                buffer[:rest] = buffer[used:filled]
                filled = rest

    def _work_off(self, data: memoryview) -> int:
        """Answer all whole packets; how many bytes they have."""
        at = 0
        while len(data) - at >= HEADER.size:
            length, kind = HEADER.unpack_from(data, at)
            if not 0 < length <= packets.MAX_PACKET:
                raise BadPacket(f"a packet of {length} bytes")
            end = at + _LENGTH + length
            if end > len(data):
                break
            self._handle(kind, data[at + HEADER.size : end])
            at = end
        return at

    def _handle(self, kind: int, data: memoryview) -> None:
        fields = Fields(data)
        number = fields.number()
        if kind == Kind.READ:
            self._read(number, fields)
            return
        try:
            if kind == Kind.WRITE:
                answer = self._write(number, fields)
            elif kind == Kind.INIT:
                answer = packets.version()
            else:
                answer = self._files.answer(kind, number, fields)
        except BadPacket as error:
            answer = packets.status(number, Status.BAD_MESSAGE, str(error))
        self._connection.sendall(answer)

    def _read(self, number: int, fields: Fields) -> None:
        try:
            file, offset, length = self._files.file(fields), fields.long(), fields.number()
            data = os.pread(file, min(length, packets.MAX_READ), min(offset, MAX_OFFSET))
        except OSError as error:
            self._connection.sendall(failure(number, error))
            return
        except BadPacket as error:
            self._connection.sendall(packets.status(number, Status.BAD_MESSAGE, str(error)))
            return
        if not data:
            self._connection.sendall(packets.status(number, Status.EOF))
            return
        size = len(data)
        header = packets.READ_HEADER.pack(size + 9, Kind.DATA, number, size)
        sent = self._connection.sendmsg([header, data])
        if sent < size + len(header):
            self._connection.sendall((header + data)[sent:])

    def _write(self, number: int, fields: Fields) -> bytes:
        try:
            file, offset, data = self._files.file(fields), fields.long(), fields.view()
            while data:
                written = os.pwrite(file, data, min(offset, MAX_OFFSET))
                offset, data = offset + written, data[written:]
        except OSError as error:
            return failure(number, error)
        return packets.status(number, Status.OK)


def serve(connection: socket.socket, files: SftpFiles) -> None:
    """Until the peer hangs up, or sends what is no SFTP."""
    try:
        with suppress(BadPacket, OSError):
            Session(connection, files).serve()
    finally:
        files.close()
