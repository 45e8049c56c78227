"""Commands in one guest, from its start to its end, over SSH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multipassd.cloudinit.userdata import USER
from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.guests import guest_ssh
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import NotRunning
from multipassd.network.interface import NoAddressYet
from multipassd.system import log

_log = log.get("instances")


class GuestConnection:
    """Where the guest is reached, with which keys, and whether it has ended."""

    def __init__(self, stored: StoredRecord, cards: NetworkCards, key: Path) -> None:
        """`key`: the service's private SSH key, which all guests accept that it has made."""
        self.over = False  # the guest has ended
        self.on_answer: Callable[[], None] = lambda: None  # called after each log-in
        self._stored = stored
        self._cards = cards
        self._key = key

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
        return Endpoint(name, host, port, record.host_key, record.ssh_user or USER)

    def _key_of(self, name: str | None) -> Path:
        """The private SSH key of this name; without one, that by which the guest is reached."""
        named = self._stored.record.ssh_key if name is None else name
        return self._key.with_name(named or self._key.name)

    async def execute(self, command: str, seconds: float, key: str | None = None, /) -> str:
        """Run a command in the guest and return its output. `key`: see `Execute`. Raises
        GuestSilent, NotRunning, DriverError."""
        endpoint, path = self.endpoint(), self._key_of(key)
        if endpoint.host_key:
            output = await guest_ssh.run(endpoint, path, command, seconds)
        else:
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
