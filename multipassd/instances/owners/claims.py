"""What is being made and is on no record yet, so that it counts against a quota from the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from multipassd.instances.owners import quotas
from multipassd.instances.owners.owner import Owner
from multipassd.instances.owners.quotas import Amounts

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record


class Claim:
    """What one command makes for an owner; `name`: of the new instance, if it makes one."""

    def __init__(self, claims: Claims, owner: Owner, amounts: Amounts, name: str) -> None:
        self.owner = owner
        self.amounts = amounts
        self.name = name
        self._claims = claims

    def change(self, amounts: Amounts) -> None:
        """It became known how much it takes. Raises QuotaExceeded."""
        quotas.check(self.owner, self._claims.used(self.owner.name, besides=self), amounts)
        self.amounts = amounts


class Claims:
    """`records`: of the instances of an owner, by its name. Checking and counting is one step of
    the event loop, so commands at the same time can't exceed a quota together."""

    def __init__(self, records: Callable[[str], Iterable[Record]]) -> None:
        self._records = records
        self._claims: dict[str, list[Claim]] = {}  # by the owner's name

    def used(self, owner: str, besides: Claim | None = None) -> Amounts:
        """By the owner's instances and by what is being made."""
        claims = [each for each in self._claims.get(owner, ()) if each is not besides]
        new = {each.name for each in claims} | ({besides.name} if besides else set())
        records = (each for each in self._records(owner) if each.name not in new)
        amounts = [quotas.of_record(each) for each in records]
        return quotas.total([*amounts, *(each.amounts for each in claims)])

    @contextmanager
    def hold(self, owner: Owner, more: Amounts, name: str = "") -> Iterator[Claim]:
        """Counted until the block ends. Raises QuotaExceeded."""
        quotas.check(owner, self.used(owner.name), more)
        claim = Claim(self, owner, more, name)
        self._claims.setdefault(owner.name, []).append(claim)
        try:
            yield claim
        finally:
            self._claims[owner.name].remove(claim)
            if not self._claims[owner.name]:
                del self._claims[owner.name]


# Counts amounts against the payer's quota until the block ends.
Charge = Callable[[Amounts], AbstractContextManager[Claim]]
