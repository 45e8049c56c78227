"""The services on other machines that this client knows, and their file's text. Pure."""

from __future__ import annotations

import json

from protocol import addresses
from protocol.addresses import AddressError, TcpAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOCAL = "local"  # the name of this machine's service, which is in no file
MAX_NAME = 32  # characters, as of a client's name
MOST = 50  # servers: with all that they may name the file stays below the limit of 1 MiB
BEGIN = "-----BEGIN CERTIFICATE-----"


class NotRemotes(ValueError):
    """The text is no file of remotes of this release."""


class Remote:
    """A service at `address`; `name` is empty where the user gave it none; `roots`: PEM, which was
    last asked for at `followed`, in seconds since 1970."""

    __slots__ = ("address", "followed", "name", "roots")

    def __init__(self, address: str, name: str, roots: str, followed: int = 0) -> None:
        self.address = address
        self.name = name
        self.roots = roots
        self.followed = followed

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.address})" if self.name else self.address


class Remotes:
    """All of them; `default` is the name of the one that commands talk to, empty for local."""

    def __init__(self) -> None:
        self.default = ""
        self._by_address: dict[str, Remote] = {}

    def every(self) -> list[Remote]:
        return sorted(self._by_address.values(), key=lambda each: (each.name, each.address))

    def at(self, address: TcpAddress) -> Remote | None:
        return self._by_address.get(key(address))

    def named(self, name: str) -> Remote | None:
        found = [each for each in self._by_address.values() if name and each.name == name]
        return found[0] if found else None

    def keep(self, remote: Remote) -> None:
        """In place of what was kept for its address."""
        self._by_address[remote.address] = remote

    def forget(self, remote: Remote) -> None:
        del self._by_address[remote.address]
        if remote.name and remote.name == self.default:
            self.default = ""

    def __len__(self) -> int:
        return len(self._by_address)

    def text(self) -> str:
        servers = [
            {
                "name": each.name,
                "address": each.address,
                "root_certificates": each.roots,
                "followed": each.followed,
            }
            for each in self.every()
        ]
        return json.dumps({"default": self.default, "servers": servers}, indent=4) + "\n"


def parse(text: str) -> Remotes:
    """Raises NotRemotes."""
    remotes = Remotes()
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or not {"servers", "default"} <= document.keys():
            raise ValueError("it lists no servers")
        entries = document["servers"]
        if not isinstance(entries, list):
            raise TypeError("the servers are no list")
        remotes.default = _text(document["default"])
        for entry in entries:
            remotes.keep(_remote(entry))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        why = error if type(error) is ValueError else "it is cut off, or was edited"
        raise NotRemotes(str(why)) from None
    names = [each.name for each in remotes.every() if each.name]
    if len(remotes) != len(entries) or len(set(names)) != len(names):
        raise NotRemotes("two entries are of the same server or name")
    if remotes.default and remotes.named(remotes.default) is None:
        raise NotRemotes(f"the default '{remotes.default}' is none of the servers")
    return remotes


def is_roots(text: str) -> bool:
    """Whether it can be kept: no more than lines of plain characters."""
    return BEGIN in text and text.isascii() and text.replace("\n", "").isprintable()


def key(address: TcpAddress) -> str:
    """The address as remotes have it: names of hosts are the same in any case."""
    return str(address).lower()


def is_name(text: str) -> bool:
    """1 to 32 of a-z, 0-9, dot, underscore and hyphen, a letter first, as of clients."""
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return (
        0 < len(text) <= MAX_NAME
        and text.isascii()
        and text == text.lower()
        and text[0].isalpha()
        and plain.isalnum()
    )


def _remote(entry: Any) -> Remote:
    """Raises ValueError, TypeError, KeyError."""
    name, roots = _text(entry["name"]), _text(entry["root_certificates"])
    if name and (not is_name(name) or name == LOCAL):
        raise ValueError("a name is none")
    if not is_roots(roots):
        raise ValueError("a server has no certificate")
    try:
        address = addresses.parse(_text(entry["address"]))
    except AddressError as error:
        raise ValueError(str(error)) from None
    if not isinstance(address, TcpAddress):
        raise ValueError("a server's address is a socket")
    followed = entry.get("followed", 0)
    if not isinstance(followed, int):
        raise TypeError("a time is no number")
    return Remote(key(address), name, roots, followed)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a value is not a text")
    return value
