"""Addresses of the service: `unix:PATH`, `HOST:PORT`, `[IPv6]:PORT`. Pure."""

from __future__ import annotations

SOCKET_PATH_LIMIT = 107  # bytes of sun_path without the closing NUL


class AddressError(ValueError):
    """The text is not an address; the message is Multipass 1.16's where it has one."""


class UnixAddress:
    """The path of a Unix socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __str__(self) -> str:
        return f"unix:{self.path}"


class TcpAddress:
    """A host, by name or IP address, and a port."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def is_loopback(self) -> bool:
        """Is it this machine, as its name tells? (A tunnel may lead elsewhere.)"""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


def parse(text: str) -> Address:
    """Raises AddressError."""
    if text.startswith("unix:"):
        return _parse_unix(text)
    host, port = _split_port(text)
    digits = port.isascii() and port.isdecimal() and len(port) <= len("65535")
    if not digits or int(port) > 0xFFFF:
        raise AddressError(f"invalid port number in address '{text}'")
    return TcpAddress(host or "localhost", int(port))


def _parse_unix(text: str) -> UnixAddress:
    path = text.removeprefix("unix:")
    if path.startswith("//"):  # gRPC's absolute form, unix:///path
        path = path[2:]
    if not path:
        raise AddressError(f"missing socket file in address '{text}'")
    if len(path.encode("utf-8", "surrogateescape")) > SOCKET_PATH_LIMIT:
        raise AddressError(
            f"socket path too long in address '{text}': the kernel takes {SOCKET_PATH_LIMIT} bytes"
        )
    return UnixAddress(path)


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise AddressError(f"missing port number in address '{text}'")
        return host, rest[1:]
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"missing port number in address '{text}'")
    if ":" in host:
        raise AddressError(f"invalid port number in address '{text}': write IPv6 as [ADDRESS]:PORT")
    return host, port
