"""One instance that files are transferred to or from."""

from __future__ import annotations

import time

from client import transfer_messages as messages
from client.errors import CommandFailed
from client.guests.ssh import Subsystem
from client.sftp import protocol, remote
from client.sftp.download import Download
from client.sftp.interruption import Interrupted
from client.sftp.pipeline import Pipeline
from client.sftp.protocol import ProtocolError
from client.sftp.session import Lost, Session
from client.sftp.upload import Upload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from client.guests.guest import Guest
    from client.sftp.interruption import Interruption
    from client.sftp.pipeline import Job
    from client.sftp.report import Report

    Result = TypeVar("Result")

CLEAN_UP_WITHIN = 3.0  # seconds in which an interrupted transfer removes what it left unfinished


class Connection:
    """SFTP with one instance; the commands of `transfer`. Raises CommandFailed, Interrupted."""

    def __init__(
        self,
        guest: Guest,
        report: Report,
        interruption: Interruption,
        recursive: bool,
        parents: bool,
    ) -> None:
        self._report = report
        self._interruption = interruption
        self._ssh = Subsystem(guest, "sftp")
        self._session = Session(self._ssh.connection, self._check_start)
        self._pipeline = Pipeline(self._session)
        self._upload = Upload(self._session, report, recursive, parents)
        self._download = Download(self._session, report, recursive, parents)
        try:
            self._session.start()
            self._session.check = interruption.check
        except Lost:
            raise self._ssh.failure(had_begun=False) from None
        except ProtocolError as error:
            self.close()
            raise CommandFailed(messages.no_sftp(str(error)), messages.NO_SFTP_HINT) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._ssh.close()

    def _check_start(self) -> None:
        """Raises Lost, Interrupted."""
        self._interruption.check()
        if self._ssh.is_overdue():
            raise Lost

    def is_directory(self, path: bytes) -> bool:
        """Raises Refused, too."""
        found = self._run(remote.status(self._session, path))
        return found is not None and found.is_directory()

    def upload(self, source: bytes, target: bytes) -> None:
        self._run(self._report.of(self._upload.path(source, target)))

    def upload_stream(self, descriptor: int, target: bytes) -> None:
        self._run(self._report.of(self._upload.stream(descriptor, target)))

    def download(self, source: bytes, target: bytes) -> None:
        self._run(self._report.of(self._download.path(source, target)))

    def download_stream(self, source: bytes, descriptor: int) -> None:
        self._run(self._report.of(self._download.stream(source, descriptor)))

    def _run(self, job: Job[Result]) -> Result:
        self._interruption.deferred = True
        try:
            return self._pipeline.run(job)
        except Lost:
            raise self._ssh.failure(had_begun=True) from None
        except ProtocolError as error:
            raise CommandFailed(messages.no_sftp(str(error))) from error
        except Interrupted:
            self._clean_up()
            raise
        finally:
            self._interruption.deferred = False

    def _clean_up(self) -> None:
        """Remove the files in the instance that are not whole, if it answers soon enough."""
        end = time.monotonic() + CLEAN_UP_WITHIN

        def check() -> None:
            if time.monotonic() > end:
                raise Lost

        self._session.check = check
        left = [self._session.send(protocol.REMOVE, each) for each in self._upload.unfinished]
        try:
            while any(pending.reply is None for pending in left):
                self._session.pump()
        except (Lost, ProtocolError):
            pass
