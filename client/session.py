"""The context of one command: its command line, the environment, the connection to the service."""

from __future__ import annotations

import posix

from client import certificate, home
from client.errors import CommandFailed
from client.terminal import console
from protocol import places
from protocol.addresses import TcpAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client.arguments.commandline import CommandLine
    from client.server import Server
    from client.transport.channel import Channel
    from client.transport.server_identity import Peer
    from protocol.addresses import Address

# Which certificate a call presents: a service without clients enrols the one that is presented.
MAKE, IF_PRESENT, NONE = "make", "if present", "none"


class Session:
    """The context of one command; opens connections to the service on demand."""

    def __init__(self, line: CommandLine, environ: Mapping[str, str]) -> None:
        self.line = line
        self.verbosity = line.verbosity or 0
        self._environ, self._home = home.find(environ, posix.geteuid())
        self._server: Server | None = None
        # Set by completion and health checks, which must not be enrolled as the first client.
        self.never_enrols = bool(environ.get("MULTIPASS_NEVER_ENROL"))
        self._peers: list[Peer] = []  # services that this run called, inner commands included

    def server(self) -> Server:
        """The service that the command talks to. Raises AddressError, RemotesUnusable."""
        if self._server is None:
            from client import server

            self._server = server.find(self._environ, self.remotes_file())
        return self._server

    def server_at(self, address: Address) -> Server:
        """With what is known to verify it. Raises RemotesUnusable."""
        from client import server

        return server.at(address, self._environ, self.remotes_file())

    def names_roots(self) -> bool:
        """Whether there is, or is said to be, something to verify the service by. Raises
        AddressError, RemotesUnusable."""
        return (
            bool(self._environ.get("MULTIPASS_ROOT_CERT")) or self.server().roots.load() is not None
        )

    def local_address(self) -> Address:
        """That of this machine's service."""
        from client import server

        return server.local(self._environ)

    @property
    def address_is_set(self) -> bool:
        """Whether the environment names the service, which goes before the default remote."""
        return bool(self._environ.get("MULTIPASS_SERVER_ADDRESS"))

    @property
    def remote(self) -> str:
        """The default remote, where that is what the command talked to; else empty."""
        return str(self._server) if self._server is not None and self._server.remote else ""

    def talk_to(self, server: Server) -> None:
        """Instead of the service that environment and remotes name."""
        self._server = server

    def address(self) -> Address:
        """Raises AddressError, RemotesUnusable."""
        return self.server().address

    @property
    def is_elsewhere(self) -> bool:
        """Whether the service is on another machine, as far as its address tells. Raises
        AddressError, RemotesUnusable."""
        address = self.address()
        return isinstance(address, TcpAddress) and not address.is_loopback

    def channel(
        self,
        identity: str = MAKE,
        patience: float | None = None,
        deadline: float | None = None,
        warn: Callable[[str], None] = console.line_err,
    ) -> Channel:
        """A channel to the service. Raises AddressError, CommandFailed."""
        from client.transport.channel import PATIENCE, Channel
        from client.transport.server_identity import Peer

        peer = Peer(self.server(), self._identity(identity), warn)
        self._peers.append(peer)
        return Channel(peer, PATIENCE if patience is None else patience, deadline)

    def called(self) -> Peer | None:
        """The service that was called last; None if none answered."""
        return next((peer for peer in reversed(self._peers) if peer.connected), None)

    def of(self, line: CommandLine) -> Session:
        """The session of another command in the same run."""
        session = Session(line, self._environ)
        session._server = self._server
        session._peers = self._peers
        return session

    def make_certificate(self) -> None:
        """Create this client's certificate if possible: scripts append it to the trust store after
        any command. This enrols no client."""
        try:
            self._identity(MAKE)
        except CommandFailed:
            pass  # a command that needs it reports the error

    def home(self) -> str:
        """The user's home directory, also where a snap has given the program another one."""
        return self._environ.get("SNAP_REAL_HOME") or self._home

    def settings_file(self) -> str:
        return places.client_settings_file(self._environ, self._home)

    def remotes_file(self) -> str:
        return places.client_remotes_file(self._environ, self._home)

    def alias_file(self) -> str:
        return places.client_alias_file(self._environ, self._home)

    def alias_scripts(self) -> str:
        """The directory of the scripts that run aliases."""
        return places.client_alias_scripts(self._environ, self._home)

    def alias_script_runs(self) -> str:
        return places.alias_script_runs(self._environ)

    def path_has(self, directory: str) -> bool:
        """Whether programs are looked up there."""
        return directory in self._environ.get("PATH", "").split(":")

    def primary(self) -> str:
        """The name of the primary instance; empty if it is disabled."""
        from client import settings

        return settings.primary_name(self.settings_file())

    def _identity(self, which: str) -> certificate.Identity | None:
        directory = places.client_certificate_directory(self._environ, self._home)
        if which == MAKE:
            return certificate.ensure(directory)
        return certificate.existing(directory) if which == IF_PRESENT else None
