"""Inspect the trust store: its state, the clients in it, and what is wrong with it.

Reads and judges, changes nothing. Only an EMPTY store adopts a first client, so every doubt is
DAMAGED, in which no new client gets in.
"""

import os
import stat
import time
from collections.abc import Container
from math import inf
from pathlib import Path
from typing import NamedTuple

from multipassd.system import installation
from multipassd.system.files import TICK_SECONDS
from multipassd.trust import pem_text
from multipassd.trust.clients import Clients
from multipassd.trust.disk import StoreDisk, UnsafeFile
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.state import TrustState
from protocol.certificate_check import check
from protocol.roles import Role

TORN_SECONDS = 2.0  # a certificate appended in two writes is whole by then
RETRY_SECONDS = 0.5  # after a read error, which may have been a shortage of descriptors

START_OVER = f"start over with `sudo {installation.here().trust} reset`"


Stamp = tuple[int, ...]


class View(NamedTuple):
    """The result of one inspection. `inspect_again` is monotonic time: a verdict may only hold
    for a while, as on a certificate that is still being written."""

    state: TrustState
    trusted: frozenset[str] = frozenset()
    damage: str = ""
    problems: tuple[str, ...] = ()
    exists: bool = False
    contents: pem_text.Contents = pem_text.NOTHING
    signature: Stamp = ()
    inspect_again: float = inf


class Observer:
    """Reads the store's file when it has changed, and judges it."""

    def __init__(
        self,
        disk: StoreDisk,
        clients: Clients,
        role: Role,
        marker: EnrolledMarker | None,
        owners: frozenset[int],
    ) -> None:
        self.path = disk.path
        self.directory = disk.path.parent
        self._path, self._directory = str(self.path), str(self.directory)  # looked at in each call
        self._disk = disk
        self._clients = clients
        self._role = role
        self._marker = marker  # None: only the records say whether the file may be missing
        self._owners = owners

    def unchanged(self, view: View, directory: Stamp) -> bool:
        """Would a look at the disk find the same? Costs a stat, or none."""
        if time.monotonic() >= view.inspect_again:
            return False
        if self._marker is None and not view.exists:
            return directory == view.signature
        return self._signature(view.contents.blank, directory) == view.signature

    def directory_stamp(self) -> Stamp:
        """Of the directory of all files of the store: its time changes as a file comes or goes."""
        try:
            status = os.stat(self._directory)
        except OSError as error:
            return (error.errno or 0, 0, 0)
        return (status.st_mode, status.st_uid, status.st_mtime_ns)

    def _signature(self, blank: bool, directory: Stamp) -> Stamp:
        """Changes whenever the verdict may; that of a blank store depends on the side file and the
        marker, too. For the viewers' file the look at the admins' covers the rest."""
        own = _stamp(self._path)
        if self._marker is None:
            return own
        own += directory[:2]
        if not blank:
            return own
        return own + _stamp(self._clients.path) + _stamp(self._marker.path)

    def look(self, known: Container[str]) -> View:
        """`known` are fingerprints of certificates that were found valid before."""
        directory = self.directory_stamp()
        before, blank = self._signature(False, directory), self._signature(True, directory)
        view = self._inspect(known)
        if self._marker is None and view.state is TrustState.DAMAGED:
            again = time.monotonic() + RETRY_SECONDS
            view = view._replace(inspect_again=min(view.inspect_again, again))
        if self._marker is None and not view.exists:
            if abs(time.time() - directory[-1] / 1e9) < TICK_SECONDS:  # one may come in this tick
                again = time.monotonic() + TICK_SECONDS
                view = view._replace(inspect_again=min(view.inspect_again, again))
            return view._replace(signature=directory)
        return view._replace(signature=blank if view.contents.blank else before)

    def after_append(self, view: View, who: str, text: bytes) -> View | None:
        """The view that our own append makes of another, which spares reading a large store.

        None if anyone else had a hand in it: then only a look at the disk will do.
        """
        contents = view.contents
        size = contents.size + len(text) + (not contents.ends_line)
        signature = self._signature(False, self.directory_stamp())
        same_file = not view.exists or view.signature[:2] == signature[:2]  # device and inode
        if contents.torn is not None or not same_file or signature[SIZE:][:1] != (size,):
            return None
        trusted = view.trusted | {who}
        return view._replace(
            state=TrustState.TRUSTING,
            trusted=trusted,
            exists=True,
            contents=contents._replace(
                fingerprints=trusted, size=size, ends_line=True, blank=False
            ),
            signature=signature,
            inspect_again=inf,
        )

    def _inspect(self, known: Container[str]) -> View:
        if wrong := self.directory_complaint():
            return _damaged(f"{wrong} Put it right, or {START_OVER}.")
        try:
            data, status = self._disk.read()
        except FileNotFoundError:
            return self._judge_missing()
        except UnsafeFile as error:
            return self._damaged(f"is not safe to believe: {error.strerror}", "Put that right")
        except OSError as error:
            view = self._damaged(f"can't be read: {error.strerror}", "Put that right")
            return view._replace(inspect_again=time.monotonic() + RETRY_SECONDS)
        view = self._judge(pem_text.parse(data, known, check), status)
        if abs(time.time() - status.st_ctime) < TICK_SECONDS:
            tick = time.monotonic() + TICK_SECONDS
            return view._replace(inspect_again=min(view.inspect_again, tick))
        return view

    def directory_complaint(self) -> str:
        """Why nothing in the directory can be believed; empty if it can."""
        try:
            status = self.directory.stat()
        except OSError as error:
            return f"The trust store's directory {self.directory} is no use: {error.strerror}."
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISDIR(status.st_mode):
            return f"{self.directory}, where the trust store belongs, is not a directory."
        if status.st_uid not in self._owners:
            return f"The trust store's directory {self.directory} belongs to uid {status.st_uid}."
        if mode & 0o022:
            return f"Others may write to the trust store's directory {self.directory} ({mode:04o})."
        return ""

    def _judge_missing(self) -> View:
        if self._has_clients():
            return self._damaged(
                "is missing, though clients are on record that were never removed",
                "Restore it from a copy",
            )
        return View(TrustState.EMPTY)

    def _judge(self, contents: pem_text.Contents, status: os.stat_result) -> View:
        age = time.time() - status.st_mtime
        # A file from the future (the clock was set back) is not fresh: there is no wait for it.
        fresh_for = TORN_SECONDS - age if 0 <= age < TORN_SECONDS else 0.0
        view = self._verdict(contents, fresh_for > 0)
        problems = contents.problems
        if contents.torn is not None and not fresh_for:
            problems += (f"line {contents.torn_line}: a certificate that was never finished",)
        waits = fresh_for and (contents.torn is not None or not contents.fingerprints)
        return view._replace(
            exists=True,
            contents=contents,
            problems=problems,
            inspect_again=time.monotonic() + fresh_for if waits else inf,
        )

    def _verdict(self, contents: pem_text.Contents, fresh: bool) -> View:
        if contents.fingerprints:
            return View(TrustState.TRUSTING, contents.fingerprints)
        if contents.blank:
            return self._judge_blank(fresh)
        if contents.torn is not None and fresh:
            return self._damaged("is just being written", "Try again in a moment")
        first = f" ({contents.problems[0]})" if contents.problems else ""
        return self._damaged(
            f"holds no valid certificate, yet is not empty{first}", "Restore it from a copy"
        )

    def _judge_blank(self, fresh: bool) -> View:
        if not self._has_clients():
            return View(TrustState.EMPTY)
        # An editor that writes in place empties the file first.
        if fresh:
            return self._damaged("was emptied just now", "Try again in a moment")
        return self._damaged(
            "is empty, though clients are on record that were never removed",
            "Restore it from a copy",
        )

    def _has_clients(self) -> bool:
        marked = self._marker is not None and self._marker.is_set()
        return marked or self._clients.on_record(self._role)

    def _damaged(self, why: str, cure: str) -> View:
        return _damaged(f"The trust store {self.path} {why}. {cure}, or {START_OVER}.")


def _damaged(sentence: str) -> View:
    return View(TrustState.DAMAGED, damage=sentence)


SIZE = 4  # where a stamp has it


def _stamp(path: str | Path) -> Stamp:
    try:
        status = os.lstat(path)
    except OSError as error:
        return (error.errno or 0,)
    return (
        status.st_dev, status.st_ino, status.st_mode, status.st_uid,
        status.st_size, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
