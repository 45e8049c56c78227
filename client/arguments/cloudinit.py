"""The text of `launch --cloud-init`: from a file, a URL or stdin; checked before it is sent."""

from __future__ import annotations

import os
import stat

from client import instance_messages
from client.certificate import add_site_packages
from client.errors import CommandFailed, UsageError
from client.terminal import console

MAX_TEXT = 1024 * 1024  # bytes; cloud-init's own data sources accept far less
FETCH_WITHIN = 60.0  # seconds for each step of fetching a URL
STDIN = "-"
CHUNK = 65536


def load(source: str) -> str:
    """Raises UsageError, and CommandFailed if it can't be checked."""
    if source == STDIN:
        data = _read(console.STDIN)
    elif source.lower().startswith(("http://", "https://")):
        data = _fetch(source)
    else:
        data = _read_file(source)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(
            instance_messages.bad_cloud_init(instance_messages.CLOUD_INIT_NO_TEXT)
        ) from None
    _check(text)
    return text


def _read_file(path: str) -> bytes:
    try:
        # Checked before it is opened: opening a device may have effects; a FIFO is allowed.
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            why = "It is a directory." if stat.S_ISDIR(mode) else "It is not a regular file."
            raise UsageError(instance_messages.unreadable_cloud_init(path, why))
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        why = f"{error.strerror or error}."
        raise UsageError(instance_messages.unreadable_cloud_init(path, why)) from None
    try:
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    data = bytearray()
    while len(data) <= MAX_TEXT:
        console.wait_for_input(descriptor)
        try:
            chunk = os.read(descriptor, CHUNK)
        except OSError as error:
            raise UsageError(
                instance_messages.bad_cloud_init(error.strerror or str(error))
            ) from None
        if not chunk:
            return bytes(data)
        data += chunk
    raise UsageError(instance_messages.bad_cloud_init(instance_messages.CLOUD_INIT_TOO_LARGE))


def _fetch(url: str) -> bytes:
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=FETCH_WITHIN) as answer:
            data: bytes = answer.read(MAX_TEXT + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UsageError(
            instance_messages.bad_cloud_init(f"{url}: {_why_not_fetched(error)}")
        ) from None
    if len(data) > MAX_TEXT:
        raise UsageError(instance_messages.bad_cloud_init(instance_messages.CLOUD_INIT_TOO_LARGE))
    return data


def _why_not_fetched(error: Exception) -> str:
    """The system's own error text, which urllib wraps: `<urlopen error [Errno 111] ...>`."""
    from urllib.error import HTTPError

    reason = error if isinstance(error, HTTPError) else getattr(error, "reason", error)
    return str(getattr(reason, "strerror", "") or reason)


def _check(text: str) -> None:
    """Whether it is YAML at all; the service and cloud-init check its meaning."""
    from protocol.user_data_kinds import CONFIG, headed, kind

    if kind(text) != CONFIG:
        return
    add_site_packages()
    from protocol.yaml_text import Unreadable, load

    try:
        content = load(text)
    except ImportError:
        raise CommandFailed(
            instance_messages.bad_cloud_init(instance_messages.NO_YAML),
            instance_messages.NO_YAML_HINT,
        ) from None
    except Unreadable as error:
        raise UsageError(instance_messages.bad_cloud_init(str(error))) from None
    if content is None and not headed(text):
        raise UsageError(instance_messages.bad_cloud_init(instance_messages.CLOUD_INIT_EMPTY))
