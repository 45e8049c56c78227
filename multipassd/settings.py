"""The daemon's settings: a validated model over the INI file that 1.16 reads and people edit.

A file that can't be trusted or understood is left alone: defaults hold, the passphrase counts as
not set, changes are refused, and `problem` says why.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from multipassd import quota_settings
from multipassd.auth import passphrase
from multipassd.system import installation
from multipassd.system.files import Stamp, is_settled, read_trusted, stamp, write_atomically
from multipassd.trust.state import FirstClient
from protocol import quotas
from protocol import settings as names
from protocol.errors import InvalidSetting, RpcError, StorageFailed, UnknownSetting
from protocol.inifile import IniFile
from protocol.roles import NAMES as ROLES
from protocol.roles import Role
from protocol.status import Status

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
MAX_VALUE = 4096  # and a line is read by people
MAX_UNREAD = 3  # lines that a warning lists: with more it is another kind of file

DRIVERS = frozenset({"qemu"})  # the keys of backend.DRIVERS, which programs without drivers lack
OTHER_DRIVERS = frozenset({"libvirt", "lxd"})  # which 1.16 has and this service does not
_DRIVER_ALIASES = {"hyper-v": "hyperv", "vbox": "virtualbox"}
_BOOLEANS = dict.fromkeys(("true", "on", "yes", "1"), "true") | dict.fromkeys(
    ("false", "off", "no", "0"), "false"
)
FIRST_CLIENTS = (FirstClient.ADMIN.value, FirstClient.NOBODY.value)
_HIDDEN = "…"  # in place of a secret


class SettingsUnusable(RpcError):
    """The settings file is not one to rely on, so nothing is written over it."""

    status = Status.FAILED_PRECONDITION


def _driver(value: str) -> str:
    driver = _DRIVER_ALIASES.get(value.lower(), value.lower())
    if driver in OTHER_DRIVERS:
        raise _why(f"Only qemu can be used; there is no driver for {driver} here")
    if driver not in DRIVERS:
        raise _why("Invalid driver")
    return driver


def _shown(value: str) -> str:
    """Any text, as in 1.16, but nothing that commands the terminal of another user."""
    if not value.replace("\n", "").replace("\t", "").isprintable():
        raise _why("It has characters that can't be shown")
    return value


def _mirror(value: str) -> str:
    if _shown(value) and not value.startswith("https://"):
        raise _why("The hostname of mirror must contain protocol name: https")
    return value if not value or value.endswith("/") else value + "/"


def _serves_as_callers() -> str:
    """In the snap most directories, as the primary's `Home`, could only fail."""
    return "false" if installation.here().confined else "true"


def boolean_word(value: str) -> str | None:
    """ "true" or "false"; None for neither."""
    return _BOOLEANS.get(value.lower())


def _boolean(value: str) -> str:
    word = boolean_word(value)
    if word is None:
        raise _why('Invalid value, try "true" or "false"')
    return word


def _role(value: str) -> str:
    if value not in ROLES:
        raise _why(f"Roles are {' and '.join(sorted(ROLES))}")
    return value


def _first_client(value: str) -> str:
    if value not in FIRST_CLIENTS:
        raise _why(f"It is {' or '.join(FIRST_CLIENTS)}")
    return value


def _record(value: str) -> str:
    if value and not passphrase.is_record(value):
        raise _why("not a passphrase's record")
    return value


def _why(text: str) -> PydanticCustomError:
    # Braces would be taken for a template's.
    return PydanticCustomError("setting", "{why}", {"why": text})


class Values(BaseModel):
    """The settings as they are stored: texts, each by its key."""

    model_config = ConfigDict(validate_assignment=True, extra="ignore", populate_by_name=True)

    bridged_network: Annotated[str, BeforeValidator(_shown), Field(alias=names.BRIDGED_NETWORK)] = (
        ""
    )
    driver: Annotated[str, BeforeValidator(_driver), Field(alias=names.DRIVER)] = "qemu"
    first_client: Annotated[
        str, BeforeValidator(_first_client), Field(alias=names.FIRST_CLIENT)
    ] = "admin"
    mirror: Annotated[str, BeforeValidator(_mirror), Field(alias=names.MIRROR)] = ""
    passphrase: Annotated[
        str, BeforeValidator(_record), Field(alias=names.PASSPHRASE, repr=False)
    ] = ""
    passphrase_role: Annotated[str, BeforeValidator(_role), Field(alias=names.PASSPHRASE_ROLE)] = (
        "admin"
    )
    privileged_mounts: Annotated[
        str, BeforeValidator(_boolean), Field(alias=names.PRIVILEGED_MOUNTS)
    ] = Field(default_factory=_serves_as_callers)
    shared_ssh_key: Annotated[str, BeforeValidator(_boolean), Field(alias=names.SHARED_SSH_KEY)] = (
        "true"
    )
    refuse_expired: Annotated[str, BeforeValidator(_boolean), Field(alias=names.REFUSE_EXPIRED)] = (
        "false"
    )


FIELDS = {str(field.alias): name for name, field in Values.model_fields.items()}


class Settings:
    """Reads at once; `refresh` notices edits made by hand. Safe to use from worker threads."""

    def __init__(self, path: Path, owner: int | None = None) -> None:
        """`owner` is the uid of the service's user, by default this process's."""
        self.path = path
        self._owner = os.geteuid() if owner is None else owner
        self.problem = ""  # why the file is not used at all; says what to do
        self.warnings: list[str] = []  # single values that are not used
        self._wrong: dict[str, str] = {}  # the same, by key
        self._values = Values()
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
        field = _field(key)
        self.refresh()
        value = str(getattr(self._values, field))
        if key in names.SECRET_KEYS:
            return names.SET if value else ""
        return value

    def require(self, key: str) -> None:
        """Raises SettingsUnusable if the value counts as not set only because the file, or the
        secret in it, can't be used; UnknownSetting.
        """
        if not quotas.read_key(key):
            _field(key)
        self.refresh()
        problem, wrong = self.problem, self._wrong.get(key)
        if wrong and (key in names.SECRET_KEYS or key == names.PASSPHRASE_ROLE):
            problem = f"{wrong}. Set it again with `multipass set {key}`."
        if problem:
            raise SettingsUnusable(problem)

    def passphrase_record(self) -> str:
        """What a guess is verified against; empty when no passphrase is set."""
        self.refresh()
        return self._values.passphrase

    def passphrase_role(self) -> Role:
        """What the passphrase makes of a client. Raises SettingsUnusable where the file's value is
        none: the default would be more than was meant."""
        self.require(names.PASSPHRASE_ROLE)
        return ROLES[self._values.passphrase_role]

    def first_client(self) -> FirstClient:
        """UNKNOWN where the file can't be used: the default would be more than was meant."""
        self.refresh()
        if self.problem or names.FIRST_CLIENT in self._wrong:
            return FirstClient.UNKNOWN
        return FirstClient(self._values.first_client)

    def refuses_expired(self) -> bool:
        """Does a client's certificate count for nothing once it has ended? Also where the file or
        its value can't be read: the default would let in clients that may be refused."""
        self.refresh()
        unknown = self.problem or names.REFUSE_EXPIRED in self._wrong
        return bool(unknown) or self._values.refuse_expired == "true"

    def shared_ssh_key(self) -> bool | None:
        """May the key that all instances share be used? None where the file does not tell: the
        default would be more than was meant."""
        self.refresh()
        if self.problem or names.SHARED_SSH_KEY in self._wrong:
            return None
        return self._values.shared_ssh_key == "true"

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
        field = "" if quotas.read_key(key) else _field(key)
        if key in names.SECRET_KEYS and value and not passphrase.is_record(value):
            value = passphrase.make(value)
        with self._lock:
            self._load_if_changed()
            if self.problem:
                raise SettingsUnusable(f"The setting was not changed. {self.problem}")
            if not field:
                self._store(key, quota_settings.checked(key, value))
                return
            changed = _validated(self._values, field, key, value)
            self._store(key, str(getattr(changed, field)))

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
        problem, wrong, values, ini = "", dict[str, str](), Values(), IniFile.parse("")
        limits: quota_settings.Limits = {}
        try:
            ini = IniFile.parse(read_trusted(self.path, self._owner))
            values, wrong = _lenient(ini, self.path)
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
        self._values, self._ini, self._quotas = values, ini, limits

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


def _field(key: str) -> str:
    if key not in FIELDS:
        raise UnknownSetting(key)
    return FIELDS[key]


def _validated(values: Values, field: str, key: str, value: str) -> Values:
    shown = _HIDDEN if key in names.SECRET_KEYS else value
    if len(value) > MAX_VALUE:
        raise InvalidSetting(key, value[:40] + _HIDDEN, f"More than {MAX_VALUE} characters")
    changed = values.model_copy()
    try:
        setattr(changed, field, value)
    except ValidationError as error:
        raise InvalidSetting(key, shown, str(error.errors()[0]["msg"])) from None
    return changed


def _lenient(ini: IniFile, path: Path) -> tuple[Values, dict[str, str]]:
    """The values that are valid, with the defaults for the others, and what is wrong with those."""
    found: dict[str, Any] = {key: ini.get(key) for key in FIELDS}
    found = {key: value for key, value in found.items() if value is not None}
    try:
        return Values.model_validate(found), {}
    except ValidationError as error:
        wrong = {str(each["loc"][0]): each["msg"] for each in error.errors()}
    warnings = {key: f"{key} in {path} is not used: {why}" for key, why in wrong.items()}
    kept = {key: value for key, value in found.items() if key not in wrong}
    return Values.model_validate(kept), warnings
