"""Options of the snap (`snap set multipass KEY=VALUE`): checked, saved, used at the start.

The configure hook saves them in a file: asking snapd at each start would make the service depend
on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from multipassd.system.files import read_regular, write_atomically
from multipassd.system.installation import Installation
from multipassd.system.log import LEVELS
from protocol.addresses import TcpAddress, parse

MODE = 0o600  # a proxy's address may hold a password
MAX_FILE = 64 << 10
MAX_VALUE = 1000

Options = dict[str, str]  # only what is set


class OptionError(ValueError):
    """A value that can't be used; the sentence says why, and quotes no password."""


def _address(text: str) -> str:
    address = parse(text)  # AddressError is a ValueError
    if not isinstance(address, TcpAddress):
        raise ValueError("it must be HOST:PORT; the Unix socket is always served")
    return str(address)


def _verbosity(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(f"it must be one of {', '.join(LEVELS)}")
    return text


def _proxy(text: str) -> str:
    try:
        url = urlsplit(text)
        sound = url.scheme in ("http", "https") and url.hostname and (url.port or 1) > 0
    except ValueError:
        sound = False
    if not sound or not text.isprintable() or " " in text:
        raise ValueError("it must be http://HOST:PORT or https://HOST:PORT")
    return text


def _hosts(text: str) -> str:
    if not text.isprintable() or " " in text:
        raise ValueError("it must be names or addresses, separated by commas, without spaces")
    return text


CHECKS: dict[str, Callable[[str], str]] = {
    "address": _address,
    "verbosity": _verbosity,
    "http-proxy": _proxy,
    "https-proxy": _proxy,
    "no-proxy": _hosts,
}
PROXIES = ("http-proxy", "https-proxy", "no-proxy")


def checked(given: Mapping[str, object]) -> Options:
    """What is set, in its plain form; an empty text counts as not set. Raises OptionError."""
    options = {}
    for key, value in given.items():
        if value is None or value == "":
            continue
        try:
            options[key] = CHECKS[key](_text(value))
        except ValueError as error:
            shown = "" if key in PROXIES else f"={_typed(value)}"
            raise OptionError(f"{key}{shown} is not used: {error}.") from None
    return options


def _text(value: object) -> str:
    """snapd hands over JSON: 50051 arrives as a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("it must be text")
    if len(str(value)) > MAX_VALUE:
        raise ValueError(f"more than {MAX_VALUE} characters")
    return str(value)


def _typed(value: object) -> str:
    """As on the command line of `snap set`."""
    return value if isinstance(value, str) else json.dumps(value)


def load(environ: Mapping[str, str]) -> Options:
    """The saved options; none outside the snap. Raises OptionError when the file is damaged."""
    path = Installation.of(environ).options
    if path is None:
        return {}
    try:
        found = json.loads(read_regular(Path(path), MAX_FILE))
        if not isinstance(found, dict) or not found.keys() <= CHECKS.keys():
            raise ValueError("it holds something else")
        return checked(found)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(
            f"What `snap set multipass` has set is not used, as {path} can't be read: {error}. "
            "Setting a value once more writes it anew."
        ) from None


def save(options: Options, environ: Mapping[str, str]) -> None:
    """Durable when this returns. Raises OSError."""
    path = Installation.of(environ).options
    assert path is not None
    write_atomically(Path(path), json.dumps(options, indent=1).encode() + b"\n", MODE)


def proxies(options: Options) -> dict[str, str]:
    """As programs look for them in the environment."""
    return {key.replace("-", "_"): options[key] for key in PROXIES if key in options}
