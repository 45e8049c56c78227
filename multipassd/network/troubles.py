"""Problems of the instances' network that do not stop it altogether: each is logged once, and kept
in a file that the daemon reads for `info -v`."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically

FILE = "troubles.json"
MODE = 0o644  # nothing in it is secret; the daemon reads it
MAX_SIZE = 1 << 16

_log = log.get("network")


class Troubles:
    """The present problems, one sentence for each topic."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._known = _read(directory)  # an earlier service's hold until the next inspection

    def report(self, topic: str, sentence: str) -> None:
        """An empty sentence ends the problem. Logged when it changes. Never fails."""
        if self._known.get(topic, "") == sentence:
            return
        if sentence:
            self._known[topic] = sentence
            _log.warning("%s", sentence)
        else:
            del self._known[topic]
            _log.info("no longer a problem: %s", topic)
        self._write()

    def clear(self) -> None:
        """Forget all problems: the network is taken down. Never fails."""
        self._known = {}
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        data = json.dumps(self._known).encode() + b"\n"
        with suppress(OSError):  # the log has it
            write_atomically(self._path, data, MODE)


def read(directory: Path) -> list[str]:
    """The sentences; none if the file can't be read."""
    return list(_read(directory).values())


def _read(directory: Path) -> dict[str, str]:
    try:
        known = json.loads(read_regular(directory / FILE, MAX_SIZE))
        return {str(topic): str(sentence) for topic, sentence in known.items()}
    except (OSError, ValueError, AttributeError):
        return {}
