"""Commands in one guest, from its start to its end, over SSH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from multipassd.instances.attachments.network_cards import NetworkCards
from multipassd.instances.guests import guest_ssh
from multipassd.instances.guests.guest_ssh import Endpoint
from multipassd.instances.records.stored_record import StoredRecord
from multipassd.instances.states.errors import NotRunning
from multipassd.network.interface import NoAddressYet


class GuestConnection:
    """Where the guest is reached, with which keys, and whether it has ended."""

    def __init__(self, stored: StoredRecord, cards: NetworkCards, key: Path) -> None:
        """`key`: the private SSH key that guests accept."""
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
        return Endpoint(name, host, port, self._stored.record.host_key)

    async def execute(self, command: str, seconds: float) -> str:
        """Run a command in the guest and return its output. Raises GuestSilent, NotRunning,
        DriverError."""
        output = await guest_ssh.run(self.endpoint(), self._key, command, seconds)
        if not self.over:
            self.on_answer()
        return output
