"""QMP, the protocol of QEMU's monitor, without I/O: commands to bytes, bytes to messages. Pure.

Own code, as Debian has no package of the official library. Imports only json, as a helper process
that sits beside each QEMU uses it too.
"""

from __future__ import annotations

import json

MAX_LINE = 1 << 20  # bytes of one message; the longest that is used here has some KiB

# Which messages mean something here.
SHUTDOWN, BLOCK_IO_ERROR, JOB_STATUS_CHANGE = "SHUTDOWN", "BLOCK_IO_ERROR", "JOB_STATUS_CHANGE"
RESET = "RESET"


class QmpError(Exception):
    """The peer sent something that is not QMP."""


class Greeting:
    """The first message of a monitor."""


class Event:
    """Something that happened in QEMU."""

    def __init__(self, name: str, data: dict[str, object]) -> None:
        self.name = name
        self.data = data


class Reply:
    """The answer to the command with this number."""

    def __init__(self, number: int, value: object, error: str | None) -> None:
        self.number = number
        self.value = value
        self.error = error  # QEMU's sentence; None: the command succeeded


class Qmp:
    """One connection to a monitor, from its first byte to its last."""

    def __init__(self) -> None:
        self._received = b""
        self._greeted = False
        self._number = 0  # of the last command

    def command(self, name: str, arguments: dict[str, object] | None = None) -> tuple[int, bytes]:
        """The command's number, which its reply has, and what is to be sent."""
        self._number += 1
        message: dict[str, object] = {"execute": name, "id": self._number}
        if arguments:
            message["arguments"] = arguments
        return self._number, json.dumps(message).encode() + b"\n"

    def receive(self, data: bytes) -> list[Greeting | Event | Reply]:
        """The messages that are complete with these bytes. Raises QmpError."""
        *lines, rest = (self._received + data).split(b"\n")
        self._received = rest
        if max(map(len, (*lines, rest))) > MAX_LINE:
            raise QmpError(f"a message is longer than {MAX_LINE} bytes")
        messages = [self._message(line) for line in lines]
        return [message for message in messages if message is not None]

    def _message(self, line: bytes) -> Greeting | Event | Reply | None:
        """None for one without a meaning here."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise QmpError(f"a message is not JSON: {error}") from None
        if not isinstance(message, dict):
            raise QmpError("a message is not a JSON object")
        if not self._greeted:
            if "QMP" not in message:
                raise QmpError("the first message is not a greeting")
            self._greeted = True
            return Greeting()
        if "event" in message:
            return _event(message)
        number = message.get("id")
        return _reply(message, number) if isinstance(number, int) else None


def _event(message: dict[str, object]) -> Event:
    data = message.get("data", {})
    if not isinstance(data, dict):
        raise QmpError("an event's data is not a JSON object")
    return Event(str(message["event"]), data)


def _reply(message: dict[str, object], number: int) -> Reply:
    if "error" not in message:
        return Reply(number, message.get("return"), None)
    error = message["error"]
    if not isinstance(error, dict):
        raise QmpError("an error is not a JSON object")
    return Reply(number, None, str(error.get("desc")))
