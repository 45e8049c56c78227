"""The client's own settings: `client.primary-name`."""

from __future__ import annotations

from client import files, messages
from client.errors import SettingsFileError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.inifile import IniFile

PRIMARY_NAME = "client.primary-name"
DEFAULTS = {PRIMARY_NAME: "primary"}
MAX_NAME = 63  # the limit of a host name's label (RFC 1035)


def keys() -> list[str]:
    return sorted(DEFAULTS)


def read(path: str, key: str) -> str:
    """Raises UsageError for an unknown key, SettingsFileError."""
    check_key(key)
    try:
        text = files.load(path)
    except OSError as error:
        raise SettingsFileError(messages.unreadable_settings(_why(error, path))) from error
    value = _parsed(text).get(key) if text else None  # most users have no such file
    return DEFAULTS[key] if value is None else value


def write(path: str, key: str, value: str) -> None:
    """Raises UsageError for an unknown key or a bad value, SettingsFileError."""
    check_key(key)
    if value and not is_hostname(value):
        raise UsageError(messages.invalid_setting(key, value, messages.INVALID_HOSTNAME))
    try:
        _update(path, key, value)
    except OSError as error:
        raise SettingsFileError(messages.unwritable_settings(_why(error, path))) from error


def is_hostname(text: str) -> bool:
    """Letters, digits and inner hyphens, a letter first."""
    return (
        len(text) <= MAX_NAME
        and text.isascii()
        and text.replace("-", "").isalnum()
        and text[0].isalpha()
        and text[-1] != "-"
    )


def primary_name(path: str) -> str:
    """The primary instance: empty if it is disabled, the default if the file can't be read."""
    try:
        return read(path, PRIMARY_NAME)
    except SettingsFileError:
        return DEFAULTS[PRIMARY_NAME]


def check_key(key: str) -> None:
    """Raises UsageError for an unknown key."""
    if key not in DEFAULTS:
        raise UsageError(messages.unknown_key(key))


def _update(path: str, key: str, value: str) -> None:
    with files.Locked(path):
        settings = _parsed(files.load(path))
        settings.set(key, value)
        files.replace(path, settings.to_text())


def _parsed(text: str) -> IniFile:
    from protocol.inifile import IniFile

    return IniFile.parse(text)


def _why(error: OSError, path: str) -> str:
    return f"{error.strerror or error} ({error.filename or path})"
