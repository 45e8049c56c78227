"""The client's own settings: `client.primary-name`."""

from __future__ import annotations

import errno
import os

from client import messages
from client.errors import SettingsFileError, UsageError
from protocol.inifile import IniFile

PRIMARY_NAME = "client.primary-name"
DEFAULTS = {PRIMARY_NAME: "primary"}
MAX_NAME = 63  # the limit of a host name's label (RFC 1035)
MAX_FILE = 1024 * 1024  # bytes; anything larger is no settings file


def keys() -> list[str]:
    return sorted(DEFAULTS)


def read(path: str, key: str) -> str:
    """Raises UsageError for an unknown key, SettingsFileError."""
    check_key(key)
    try:
        value = IniFile.parse(_load(path)).get(key)
    except OSError as error:
        raise SettingsFileError(messages.unreadable_settings(_why(error, path))) from error
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


def _load(path: str) -> str:
    """The file's text, empty if there is none. A rewrite preserves bytes that are not UTF-8."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    try:
        data = os.read(descriptor, MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return data.decode("utf-8", "surrogateescape")
    finally:
        os.close(descriptor)


def _update(path: str, key: str, value: str) -> None:
    """Replace the file under a lock; a crash leaves the old file or the new one."""
    import fcntl

    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        settings = IniFile.parse(_load(path))
        settings.set(key, value)
        _replace(path, settings.to_text().encode("utf-8", "surrogateescape"))
        os.fsync(lock)
    finally:
        os.close(lock)


def _replace(path: str, data: bytes) -> None:
    target = os.path.realpath(path)  # a link into a dotfiles directory stays a link
    temporary = f"{target}.new"  # an existing one is a killed writer's, as the lock is held
    if os.path.lexists(temporary):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except OSError:
        os.unlink(temporary)
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _why(error: OSError, path: str) -> str:
    return f"{error.strerror or error} ({error.filename or path})"
