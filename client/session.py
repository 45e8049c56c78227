"""What one run of a command works with: its line, the environment, and the way to the service."""

from __future__ import annotations

import os

from client import certificate, home
from client.errors import CommandFailed
from client.terminal import console
from client.transport.channel import PATIENCE, Channel
from protocol import addresses, places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client.arguments.commandline import CommandLine
    from protocol.addresses import Address

# Which certificate a call presents. Presenting one to a service without clients enrols it.
MAKE, IF_PRESENT, NONE = "make", "if present", "none"


class Session:
    def __init__(self, line: CommandLine, environ: Mapping[str, str]) -> None:
        self.line = line
        self.verbosity = line.verbosity or 0
        self._environ, self._home = home.find(environ, os.geteuid())
        # Completion and health checks set this: such a run never takes the first client's place.
        self.never_enrols = bool(environ.get("MULTIPASS_NEVER_ENROL"))

    def address(self) -> Address:
        """Raises AddressError."""
        named = self._environ.get("MULTIPASS_SERVER_ADDRESS")
        if named:
            return addresses.parse(named)
        return addresses.UnixAddress(places.default_socket(self._environ))

    def channel(
        self,
        identity: str = MAKE,
        patience: float = PATIENCE,
        deadline: float | None = None,
        warn: Callable[[str], None] = console.line_err,
    ) -> Channel:
        """The way to the service. Raises AddressError, CommandFailed."""
        from client.transport.server_identity import Peer  # loads the TLS library

        address = self.address()
        files = places.root_certificates(self._environ)
        peer = Peer(address, files, self._identity(identity), warn)
        return Channel(peer, patience, deadline)

    def of(self, line: CommandLine) -> Session:
        """For another command of the same run."""
        return Session(line, self._environ)

    def make_certificate(self) -> None:
        """Make this client's certificate if it can be made: scripts append it to the trust store
        after any command. This enrols no client."""
        try:
            self._identity(MAKE)
        except CommandFailed:
            pass  # the command says so, if it needs one

    def settings_file(self) -> str:
        return places.client_settings_file(self._environ, self._home)

    def primary(self) -> str:
        """The name of the primary instance; empty when there is to be none."""
        from client import settings

        return settings.primary_name(self.settings_file())

    def _identity(self, which: str) -> certificate.Identity | None:
        directory = places.client_certificate_directory(self._environ, self._home)
        if which == MAKE:
            return certificate.ensure(directory)
        return certificate.existing(directory) if which == IF_PRESENT else None
