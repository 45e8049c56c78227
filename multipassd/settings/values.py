"""The values of the daemon's settings: which there are, their defaults, and what each may be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from multipassd.auth import passphrase
from multipassd.system import installation
from multipassd.trust.state import FirstClient
from protocol import settings as names
from protocol.errors import InvalidSetting, UnknownSetting
from protocol.inifile import IniFile
from protocol.roles import NAMES as ROLES

MAX_VALUE = 4096  # characters, and a line is read by people
# The keys of driver_choice.DRIVERS, which programs without drivers lack.
DRIVERS = frozenset({"qemu", "incus"})
OTHER_DRIVERS = frozenset({"libvirt", "lxd"})  # which 1.16 has and this service does not
_DRIVER_ALIASES = {"hyper-v": "hyperv", "vbox": "virtualbox"}
_BOOLEANS = dict.fromkeys(("true", "on", "yes", "1"), "true") | dict.fromkeys(
    ("false", "off", "no", "0"), "false"
)
INCUS_TYPES = ("virtual-machine", "container")
_INCUS_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # of projects, pools, members, ...
FIRST_CLIENTS = (FirstClient.ADMIN.value, FirstClient.NOBODY.value)
_HIDDEN = "…"  # in place of a secret


class _WrongValue(ValueError):
    """The text says why, and is shown to who sets it."""


def _driver(value: str) -> str:
    driver = _DRIVER_ALIASES.get(value.lower(), value.lower())
    if driver in OTHER_DRIVERS:
        raise _WrongValue(f"Only qemu can be used; there is no driver for {driver} here")
    if driver not in DRIVERS:
        raise _WrongValue("Invalid driver")
    return driver


def _shown(value: str) -> str:
    """Any text, as in 1.16, but nothing that commands the terminal of another user."""
    if not value.replace("\n", "").replace("\t", "").isprintable():
        raise _WrongValue("It has characters that can't be shown")
    return value


def _mirror(value: str) -> str:
    if _shown(value) and not value.startswith("https://"):
        raise _WrongValue("The hostname of mirror must contain protocol name: https")
    return value if not value or value.endswith("/") else value + "/"


def boolean_word(value: str) -> str | None:
    """ "true" or "false"; None for neither."""
    return _BOOLEANS.get(value.lower())


def _boolean(value: str) -> str:
    word = boolean_word(value)
    if word is None:
        raise _WrongValue('Invalid value, try "true" or "false"')
    return word


def _role(value: str) -> str:
    if value not in ROLES:
        raise _WrongValue(f"Roles are {' and '.join(sorted(ROLES))}")
    return value


def _first_client(value: str) -> str:
    if value not in FIRST_CLIENTS:
        raise _WrongValue(f"It is {' or '.join(FIRST_CLIENTS)}")
    return value


def _record(value: str) -> str:
    if value and not passphrase.is_record(value):
        raise _WrongValue("not a passphrase's record")
    return value


def _incus_name(value: str) -> str:
    """Empty: Incus chooses."""
    if value and not _INCUS_NAME.fullmatch(value):
        raise _WrongValue("Names at Incus have up to 63 letters, digits, hyphens, points, and '_'")
    return value


def _incus_project(value: str) -> str:
    return _incus_name(value) or names.DAEMON_KEYS[names.INCUS_PROJECT]


def _incus_type(value: str) -> str:
    if value and value not in INCUS_TYPES:
        raise _WrongValue(f"It is {' or '.join(INCUS_TYPES)}")
    return value or names.DAEMON_KEYS[names.INCUS_TYPE]


def _not_kept(value: str) -> str:
    if value:
        raise _WrongValue("a token is used when it is set, and not kept")
    return value


# Each returns the value as it is stored, or raises _WrongValue.
_CHECKS: dict[str, Callable[[str], str]] = {
    names.BRIDGED_NETWORK: _shown,
    names.DRIVER: _driver,
    names.FIRST_CLIENT: _first_client,
    names.INCUS_NETWORK: _incus_name,
    names.INCUS_POOL: _incus_name,
    names.INCUS_PROJECT: _incus_project,
    names.INCUS_SHARED: _boolean,
    names.INCUS_TARGET: _incus_name,
    names.INCUS_TOKEN: _not_kept,
    names.INCUS_TYPE: _incus_type,
    names.MIRROR: _mirror,
    names.PASSPHRASE: _record,
    names.PASSPHRASE_ROLE: _role,
    names.PRIVILEGED_MOUNTS: _boolean,
    names.SHARED_SSH_KEY: _boolean,
    names.REFUSE_EXPIRED: _boolean,
}


class Values(dict[str, str]):
    """The settings as they are stored: texts, each by its key."""

    def __repr__(self) -> str:
        return repr({key: _HIDDEN if key in names.SECRET_KEYS else self[key] for key in self})


def defaults() -> Values:
    values = Values(names.DAEMON_KEYS)
    if installation.here().confined:  # most directories, as the primary's `Home`, could only fail
        values[names.PRIVILEGED_MOUNTS] = "false"
    return values


def check_key(key: str) -> None:
    """Raises UnknownSetting."""
    if key not in _CHECKS:
        raise UnknownSetting(key)


def checked(key: str, value: str) -> str:
    """The value as it is stored. Raises InvalidSetting."""
    if len(value) > MAX_VALUE:
        raise InvalidSetting(key, value[:40] + _HIDDEN, f"More than {MAX_VALUE} characters")
    try:
        return _CHECKS[key](value)
    except _WrongValue as error:
        shown = _HIDDEN if key in names.SECRET_KEYS else value
        raise InvalidSetting(key, shown, str(error)) from None


def lenient(ini: IniFile, path: Path) -> tuple[Values, dict[str, str]]:
    """The values that are valid, with the defaults for the others, and what is wrong with those."""
    values, warnings = defaults(), {}
    for key, check in _CHECKS.items():
        found = ini.get(key)
        if found is None:
            continue
        try:
            values[key] = check(found)
        except _WrongValue as error:
            warnings[key] = f"{key} in {path} is not used: {error}"
    return values, warnings
