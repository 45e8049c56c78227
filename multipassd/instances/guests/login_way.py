"""How clients log in to one guest: by certificates, or by the key that all instances share."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from multipassd.instances.records.stored_record import StoredRecord

MADE_BEFORE = "it was not set up to trust the service's certificate authority"
OTHER = "it trusts a certificate authority that is not the service's"
REFUSED = "it refused a certificate"
# A guest without support for certificates costs a client one attempt in this time; one that refused
# as its clock was wrong, or as its authorized_keys was edited, gets certificates again after it.
REMEMBERED = 600.0  # seconds


class LoginWay:
    """What is known of one guest's way, also from clients that it has refused."""

    def __init__(self, stored: StoredRecord, clock: Callable[[], float] = time.monotonic) -> None:
        self._stored = stored
        self._clock = clock
        self._refused_at = -math.inf

    def note_refusal(self) -> None:
        """The guest has refused a certificate just now."""
        self._refused_at = self._clock()

    def why_untrusting(self, authority: str) -> str:
        """Why it lets no certificate of this authority in, as far as its record tells: a clause;
        empty if it does. `authority`: the public key."""
        trusted = self._stored.record.ssh_authority
        return "" if trusted == authority else OTHER if trusted else MADE_BEFORE

    def why_shared(self, authority: str) -> str:
        """The same, also of one that refused a certificate lately."""
        refused = self._clock() < self._refused_at + REMEMBERED
        return self.why_untrusting(authority) or (REFUSED if refused else "")
