"""The daemon's settings: checked values over the INI file that 1.16 reads and people edit.

A file that can't be trusted or understood is left alone: defaults hold, the passphrase counts as
not set, changes are refused, and `problem` says why.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from multipassd.auth import passphrase
from multipassd.settings import quotas as quota_settings
from multipassd.settings import values
from multipassd.system.files import Stamp, is_settled, read_trusted, stamp, write_atomically
from multipassd.trust.state import FirstClient
from protocol import quotas
from protocol import settings as names
from protocol.errors import RpcError, StorageFailed
from protocol.inifile import IniFile
from protocol.roles import NAMES as ROLES
from protocol.roles import Role
from protocol.status import Status

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
MAX_UNREAD = 3  # lines that a warning lists: with more it is another kind of file


class SettingsUnusable(RpcError):
    """The settings file is not one to rely on, so nothing is written over it."""

    status = Status.FAILED_PRECONDITION


class Settings:
    """Reads at once; `refresh` notices edits made by hand. Safe to use from worker threads."""

    def __init__(self, path: Path, owner: int | None = None) -> None:
        """`owner` is the uid of the service's user, by default this process's."""
        self.path = path
        self._owner = os.geteuid() if owner is None else owner
        self.problem = ""  # why the file is not used at all; says what to do
        self.warnings: list[str] = []  # single values that are not used
        self._wrong: dict[str, str] = {}  # the same, by key
        self._values = values.defaults()
        self._quotas: quota_settings.Limits = {}
        self._ini = IniFile.parse("")
        self._stamp: Stamp = None
        self._settled = False  # would a later change of the file show in its stamp?
        self._lock = threading.Lock()
        self.reload()

    def keys(self) -> list[str]:
        """With those of the quotas that are set."""
        self.refresh()
        return sorted([*names.DAEMON_KEYS, *self._quotas])

    def quotas(self) -> quota_settings.Limits:
        """The limits that are set. Raises SettingsUnusable where none can be relied on."""
        self.refresh()
        if self.problem:
            raise SettingsUnusable(self.problem)
        return self._quotas

    def get(self, key: str) -> str:
        """The value as shown to people; of a secret only whether it is set."""
        if quotas.read_key(key):
            self.refresh()
            return quota_settings.show(key, self._quotas)
        values.check_key(key)
        self.refresh()
        value = self._values[key]
        if key in names.SECRET_KEYS:
            return names.SET if value else ""
        return value

    def require(self, key: str) -> None:
        """Raises SettingsUnusable if the value counts as not set only because the file, or the
        secret in it, can't be used; UnknownSetting.
        """
        if not quotas.read_key(key):
            values.check_key(key)
        self.refresh()
        problem, wrong = self.problem, self._wrong.get(key)
        if wrong and (key in names.SECRET_KEYS or key == names.PASSPHRASE_ROLE):
            problem = f"{wrong}. Set it again with `multipass set {key}`."
        if problem:
            raise SettingsUnusable(problem)

    def passphrase_record(self) -> str:
        """What a guess is verified against; empty when no passphrase is set."""
        self.refresh()
        return self._values[names.PASSPHRASE]

    def passphrase_role(self) -> Role:
        """What the passphrase makes of a client. Raises SettingsUnusable where the file's value is
        none: the default would be more than was meant."""
        self.require(names.PASSPHRASE_ROLE)
        return ROLES[self._values[names.PASSPHRASE_ROLE]]

    def first_client(self) -> FirstClient:
        """UNKNOWN where the file can't be used: the default would be more than was meant."""
        self.refresh()
        if self.problem or names.FIRST_CLIENT in self._wrong:
            return FirstClient.UNKNOWN
        return FirstClient(self._values[names.FIRST_CLIENT])

    def refuses_expired(self) -> bool:
        """Does a client's certificate count for nothing once it has ended? Also where the file or
        its value can't be read: the default would let in clients that may be refused."""
        self.refresh()
        unknown = self.problem or names.REFUSE_EXPIRED in self._wrong
        return bool(unknown) or self._values[names.REFUSE_EXPIRED] == "true"

    def shared_ssh_key(self) -> bool | None:
        """May the key that all instances share be used? None where the file does not tell: the
        default would be more than was meant."""
        self.refresh()
        if self.problem or names.SHARED_SSH_KEY in self._wrong:
            return None
        return self._values[names.SHARED_SSH_KEY] == "true"

    def section(self, name: str) -> dict[str, str]:
        """What an administrator wrote under another heading of the file; no client can set it."""
        self.refresh()
        found = {key: self._ini.get(key, name) for key in self._ini.keys(name)}
        return {key: value for key, value in found.items() if value is not None}

    def set(self, key: str, value: str) -> None:
        """Stored when this returns. A passphrase is handed in as its record, or in plain text,
        which is then hashed here and takes its time.

        Raises UnknownSetting, InvalidSetting, SettingsUnusable or StorageFailed; then nothing has
        changed.
        """
        is_quota = bool(quotas.read_key(key))
        if not is_quota:
            values.check_key(key)
        if key == names.PASSPHRASE and value and not passphrase.is_record(value):
            value = passphrase.make(value)
        with self._lock:
            self._load_if_changed()
            if self.problem:
                raise SettingsUnusable(f"The setting was not changed. {self.problem}")
            checked = quota_settings.checked if is_quota else values.checked
            self._store(key, checked(key, value))

    def refresh(self) -> None:
        """Costs one stat while the file is unchanged."""
        # A change under way reads the file itself: waiting for its disk would hold up all calls.
        if self._lock.acquire(blocking=False):
            try:
                self._load_if_changed()
            finally:
                self._lock.release()

    def reload(self) -> None:
        with self._lock:
            self._load()

    def _load_if_changed(self) -> None:
        if not self._settled or stamp(self.path) != self._stamp:
            self._load()

    def _load(self) -> None:
        """Other threads get the previous values until this is done."""
        self._stamp = stamp(self.path)
        self._settled = is_settled(self._stamp)
        problem, wrong, loaded, ini = "", dict[str, str](), values.defaults(), IniFile.parse("")
        limits: quota_settings.Limits = {}
        try:
            ini = IniFile.parse(read_trusted(self.path, self._owner))
            loaded, wrong = values.lenient(ini, self.path)
            limits, unread = quota_settings.read(ini)
            wrong |= unread
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            problem = (
                f"The settings in {self.path} are not used: {reason}. "
                "Put the file right or remove it; it is read again by itself."
            )
        warnings = [*wrong.values()] + [
            f"line {number} of {self.path} is no setting, no heading and no comment"
            for number in ini.unread()[:MAX_UNREAD]
        ]
        self.problem, self.warnings, self._wrong = problem, warnings, wrong
        self._values, self._ini, self._quotas = loaded, ini, limits

    def _store(self, key: str, text: str) -> None:
        changed = IniFile.parse(self._ini.to_text())
        changed.set(key, text)
        data = changed.to_text().encode("utf-8", "surrogateescape")
        try:
            self.path.parent.mkdir(DIRECTORY_MODE, parents=True, exist_ok=True)
            write_atomically(self.path, data, FILE_MODE)
        except OSError as error:
            raise StorageFailed(
                f"The setting was not changed, because {self.path} can't be written: "
                f"{error.strerror or error}."
            ) from error
        self._load()
