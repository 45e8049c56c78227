"""Inter-process lock for trust store changes; maps OSError to StoreError."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multipassd.system import file_lock

LOCK_NAME = ".lock"
LOCK_PATIENCE = 5.0  # seconds; the lock is held for milliseconds unless the disk is dying

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})

TOPICS = {
    "load": "The trust store could not be tidied up",
    "marker": "A loss of the whole trust store would not be noticed: its marker can't be written",
    "record": "Names and dates of clients could not be written down",
}


class StoreError(OSError):
    """The store could not be changed; the text is a sentence for people."""


class LastAdmin(StoreError):
    """The change would leave no admin. Not a failure of the disk, so it stands as it is."""


class Guard:
    """`problems` holds a sentence for each topic whose last attempt failed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.problems: dict[str, str] = {}

    @contextmanager
    def changing(self, failure: str) -> Iterator[None]:
        """Hold the lock, turn every OSError into a sentence that begins with `failure`."""
        try:
            with self.locked(LOCK_PATIENCE):
                yield
        except LastAdmin:
            raise
        except OSError as error:
            raise _explained(failure, error) from error

    @contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        with file_lock.hold(self._directory / LOCK_NAME, patience):
            yield

    @contextmanager
    def reported(self, topic: str) -> Iterator[None]:
        """What fails inside is a problem to report, not a reason to stop."""
        try:
            yield
            self.problems.pop(topic, None)
        except TimeoutError:
            pass  # another process is at work: the next time will do
        except OSError as error:
            why = error.strerror or str(error)
            self.problems[topic] = f"{TOPICS[topic]}: {why} ({self._directory})."


def _explained(failure: str, error: OSError) -> StoreError:
    why = (error.strerror or str(error)).rstrip(".")
    cure = " Free some space and try again." if error.errno in NO_ROOM else ""
    explained = StoreError(f"{failure}: {why}.{cure}")
    explained.errno = error.errno
    return explained
