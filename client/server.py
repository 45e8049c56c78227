"""Which service a command talks to: its address, what verifies it, and its name."""

from __future__ import annotations

import posix

from client.transport.roots import Roots
from protocol import addresses, places
from protocol.addresses import UnixAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from client.remotes.table import Remote
    from protocol.addresses import Address


class Server:
    """A service. `remote` is its name among the remotes, empty where it was not chosen by that.
    `connect_within`: seconds over TCP; 0 is what `client/transport/dial.py` takes."""

    __slots__ = ("address", "connect_within", "remote", "roots")

    def __init__(self, address: Address, roots: Roots, remote: str = "") -> None:
        self.address = address
        self.roots = roots
        self.remote = remote
        self.connect_within = 0.0

    def __str__(self) -> str:
        return f"{self.remote} ({self.address})" if self.remote else str(self.address)


def find(environ: Mapping[str, str], remotes_file: str) -> Server:
    """MULTIPASS_SERVER_ADDRESS, else the default remote, else this machine's service.

    Raises AddressError, RemotesUnusable.
    """
    if named := environ.get("MULTIPASS_SERVER_ADDRESS"):
        return at(addresses.parse(named), environ, remotes_file)
    if _exists(remotes_file):
        from client.remotes import store

        remotes = store.read(remotes_file)
        chosen = remotes.named(remotes.default)
        if chosen is not None:
            roots = _kept(chosen, remotes_file)
            return Server(addresses.parse(chosen.address), roots, chosen.name)
    return at(local(environ), environ, remotes_file)


def at(address: Address, environ: Mapping[str, str], remotes_file: str) -> Server:
    """The service at an address; what was kept for one over TCP verifies it, unless
    MULTIPASS_ROOT_CERT is set. Raises RemotesUnusable."""
    explicit = environ.get("MULTIPASS_ROOT_CERT")
    if not isinstance(address, UnixAddress) and not explicit and _exists(remotes_file):
        from client.remotes import store

        kept = store.read(remotes_file).at(address)
        if kept is not None:
            return Server(address, _kept(kept, remotes_file))
    return Server(address, Roots(places.root_certificates(environ)))


def local(environ: Mapping[str, str]) -> UnixAddress:
    """The address of this machine's service."""
    return UnixAddress(places.default_socket(environ))


def _kept(remote: Remote, remotes_file: str) -> Roots:
    return Roots.known(remote.roots, f"the one that was kept for it in {remotes_file}")


def _exists(path: str) -> bool:
    """Most clients know no remotes: one stat, and nothing is imported."""
    try:
        posix.lstat(path)
    except (OSError, ValueError):
        return False
    return True
