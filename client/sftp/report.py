"""What a transfer tells: files that failed, and how much has arrived."""

from __future__ import annotations

from client import transfer_messages as messages
from client.sftp import protocol
from client.sftp.names import shown
from client.sftp.protocol import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from client.sftp.pipeline import Job


class FileFailed(Exception):
    """A file or directory was not transferred; the others are."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        self.sentence = sentence
        self.hint = hint
        super().__init__(sentence)


def failed(
    sentence: Callable[[str, str], str], path: str, error: Refused | OSError, why: str = ""
) -> FileFailed:
    """`sentence` is a function of the path and the reason."""
    if isinstance(error, OSError):
        return FileFailed(sentence(path, error.strerror or str(error)))
    denied = error.code == protocol.PERMISSION_DENIED
    return FileFailed(sentence(path, why or error.why), messages.NEEDS_ROOT if denied else "")


class Telling:
    """Within its block an error of the host or of the instance becomes a FileFailed."""

    def __init__(
        self, sentence: Callable[[str, str], str], path: bytes, quoted: bool = False
    ) -> None:
        self._sentence = sentence
        self._path = f'"{shown(path)}"' if quoted else shown(path)

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused | OSError):
            raise failed(self._sentence, self._path, error) from error


class Report:
    """Of one run of the command. `failures` counts; `hints` say what to do, once for all files."""

    def __init__(
        self,
        log: Callable[[str], None],
        moved: Callable[[int], None],
        expect: Callable[[int], None],
    ) -> None:
        self.failures = 0
        self.hints: list[str] = []
        self.moved = moved  # called with the bytes that have come or gone since the last time
        self.expect = expect  # called with the bytes that a download has, if it is a file
        self._log = log  # called with the sentence of a failure

    def tell(self, error: FileFailed) -> None:
        self.failures += 1
        self._log(error.sentence)
        if error.hint and error.hint not in self.hints:
            self.hints.append(error.hint)

    def of(self, job: Job[None]) -> Job[None]:
        """The job; its failure is reported, and other jobs go on."""
        try:
            yield from job
        except FileFailed as error:
            self.tell(error)
