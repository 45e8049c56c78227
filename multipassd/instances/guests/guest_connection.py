"""Commands in one guest, from its start to its end, over SSH."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from multipassd.cloudinit.logins import Logins
from multipassd.cloudinit.ssh_keys import NO_KEY
from multipassd.cloudinit.userdata import USER
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.guests import guest_ssh
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import NotRunning
from multipassd.network.interface import NoAddressYet
from multipassd.system import log
from multipassd.system.ssh_command import CONNECT_SECONDS

RUN_BYTES = 8  # so that no two runs have the same name; it is no secret

_log = log.get("instances")


class GuestConnection:
    """Where the guest is reached, with which keys, and whether it has ended."""

    def __init__(
        self, stored: StoredRecord, cards: NetworkCards, key: Path, logins: Logins | None = None
    ) -> None:
        """`key`: the service's first private SSH key; others are beside it. `logins`: issues the
        certificate for a guest that lets no key in."""
        self.over = False  # the guest has ended
        self._run = os.urandom(RUN_BYTES).hex()
        self.on_answer: Callable[[], None] = lambda: None  # called after each log-in
        self.answer_seconds = CONNECT_SECONDS  # for the guest to greet a new connection
        self._stored = stored
        self._cards = cards
        self._key = key
        self._logins = logins

    def endpoint(self) -> Endpoint:
        """Raises NotRunning, also while the guest has no address."""
        name = self._stored.name
        if self.over:
            raise NotRunning(name)
        try:
            host, port = self._cards.endpoint()
        except NoAddressYet:
            raise NotRunning(name) from None
        record = self._stored.record
        user = record.ssh_user or USER
        return Endpoint(name, host, port, record.host_key, user, self.answer_seconds, self._run)

    def _key_of(self, name: str) -> Path:
        """The private SSH key of this name."""
        return self._key.with_name(name or self._key.name)

    async def execute(self, command: str, seconds: float, key: str | None = None, /) -> str:
        """Run a command in the guest and return its output. `key`: see `Execute`. Raises
        GuestSilent, NotRunning, DriverError."""
        endpoint, record = self.endpoint(), self._stored.record
        name = record.ssh_key if key is None else key
        if name == NO_KEY and self._logins is not None:
            issued, certificate = self._logins.certificate(record)
            output, host_key = await guest_ssh.run_certified(
                endpoint, issued, certificate, command, seconds
            )
            self._pin(host_key)
        elif endpoint.host_key:
            output = await guest_ssh.run(endpoint, self._key_of(name), command, seconds)
        else:
            path = self._key_of(name)
            output, host_key = await guest_ssh.learn(endpoint, path, command, seconds)
            self._pin(host_key)
        if not self.over:
            self.on_answer()
        return output

    def _pin(self, host_key: str) -> None:
        """Believed this once. Raises StorageFailed, and then nothing is believed."""
        if self._stored.record.host_key:  # another log-in was faster
            return
        self._stored.change(host_key=host_key)
        _log.warning(
            "%s was not set up by this service, so the host key that it shows now is taken as its "
            "own, and no other from now on: %s", self._stored.name, host_key,
        )  # fmt: skip
