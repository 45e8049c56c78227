"""Changes of clients that are trusted already: another role, or none.

A certificate is in the file of its new role before it leaves that of the old one, and while it is
in both, the lesser role counts. So a kill in between makes no client more than it was, and none
loses its trust. The new role is on record before the certificate leaves its old file: if the file
of a lesser role is lost at that moment, the client has the role that was asked for, at most.

Multipass 1.16 reads the admins' file alone, so a certificate must not stay in two files; and one
whose removal is on record must not stay trusted without its name. So what is about to change is
noted before, and what a kill cut short is ended by the next process (`settle`).

The caller holds the store's lock, and has just looked at the files.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from multipassd.system import log
from multipassd.system.files import read_regular, sync_directory, write_atomically
from multipassd.trust.clients import Clients
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.lock import Guard, LastAdmin, StoreError
from multipassd.trust.manual_changes import ByHand
from multipassd.trust.pem_file import PemFile
from multipassd.trust.state import NONE, Holders
from protocol.pem import CERTIFICATE, body_to_der, der_to_pem, fingerprint
from protocol.roles import Role

UNDERWAY_NAME = "underway.json"
_log = log.get("trust")

UNDERWAY_LIMIT = 64 << 20  # bytes; 100,000 clients are 7 MB


class Underway:
    """The note of who is about to get another role, or none: a file beside the store."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / UNDERWAY_NAME

    def note(self, clients: Iterable[str], leaving: bool = False) -> None:
        """Durable on return. Raises OSError."""
        data = {"leaving" if leaving else "moving": sorted(clients)}
        write_atomically(self.path, json.dumps(data).encode(), 0o600)

    def read(self) -> tuple[frozenset[str], frozenset[str]]:
        """Who was moving, and who was leaving. None if the file is none of ours."""
        try:
            found = json.loads(read_regular(self.path, UNDERWAY_LIMIT))
            moving, leaving = found.get("moving", ()), found.get("leaving", ())
            return frozenset(map(str, moving)), frozenset(map(str, leaving))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return NONE, NONE

    def clear(self) -> None:
        """Raises OSError."""
        self.path.unlink(missing_ok=True)
        sync_directory(self.path.parent)


class Changer(NamedTuple):
    """`files`: each role's, the admins' first, which a removal must leave first."""

    files: Mapping[Role, PemFile]
    clients: Clients
    by_hand: ByHand
    marker: EnrolledMarker
    guard: Guard

    def keep_an_admin(self, holders: Holders, leaving: frozenset[str], force: bool) -> None:
        """Raises LastAdmin."""
        admins = holders.in_effect(Role.ADMIN)
        if not force and admins & leaving and not admins - leaving:
            raise LastAdmin("No administrator would be left, so nothing was changed.")

    def grant(self, holders: Holders, clients: Iterable[str], role: Role, force: bool) -> list[str]:
        """Returns those who had another role. Raises LastAdmin, StoreError, OSError."""
        for file in self.files.values():
            file.in_order()
        self.clients.refresh()
        moving = {
            who: was
            for who in clients
            if (was := holders.role_of(who)) and (was is not role or self._elsewhere(who, role))
        }
        if role is not Role.ADMIN:
            self.keep_an_admin(holders, frozenset(moving), force)
        if moving:
            self._move(moving, role)
        return [who for who, was in sorted(moving.items()) if was is not role]

    def settle(self) -> None:
        """End what a kill cut short: who was to leave leaves; else the lesser role that it left
        counts, and the greater file has the certificate no longer. Raises OSError; where a file is
        damaged, it waits."""
        moving, leaving = self.underway.read()
        if not moving | leaving:
            return
        for file in self.files.values():
            file.in_order()
        self.clients.refresh()
        found: dict[str, Role] = {}
        for role, file in sorted(self.files.items()):
            here = (moving | leaving) & file.view.trusted
            found |= {who: role for who in here if who not in found}
        _log.info("ended a change of the roles of %d clients that was cut short", len(found))
        if gone := {who: role for who, role in found.items() if who in leaving}:
            self.by_hand.disregard(gone)
            with ExitStack() as stack:
                for who in gone:
                    stack.enter_context(self.by_hand.expecting(who))
                self.remove(gone, None)
                for file in self.files.values():
                    file.inspect_again()
        self._unite({who: role for who, role in found.items() if who in moving})
        self.underway.clear()

    def _unite(self, found: Mapping[str, Role]) -> None:
        """Leave each certificate in the file of its role alone. On record first: a store that is
        emptied must have no admin on record."""
        for role in set(found.values()):
            self.clients.given(role, [who for who in found if found[who] is role])
        for role, file in self.files.items():
            here = {who for who in found.keys() & file.view.trusted if found[who] is not role}
            if here:
                if role is Role.ADMIN:
                    self._unmark(here)
                file.disk.blank(*here)
                file.inspect_again()
        with self.guard.reported("marker"):
            self._mark()

    @property
    def underway(self) -> Underway:
        return Underway(self.files[Role.ADMIN].disk.path.parent)

    def renew(self, holders: Holders, old: str, new: str, text: bytes) -> None:
        """First the new certificate is on record as what takes the place of the old one, then both
        are trusted, then the old one is not; what a kill cut short the next caller ends. Raises
        StoreError, OSError, and then the old one is trusted, perhaps with the new one."""
        for file in self.files.values():
            file.in_order()
        with self.guard.reported("record"):
            self.by_hand.record()  # else the old one might have no record to take over
        role, has = holders.role_of(old), holders.role_of(new)
        if role is None:
            raise StoreError("the present one is trusted no longer")
        if has and (has, self.clients.name_of(new)) != (role, self.clients.name_of(old)):
            raise StoreError("the new one is trusted already, as another client's")
        self.clients.renewing(old, new)
        if not has:
            self.files[role].append(new, text)
        self._blank(old)
        with self.guard.reported("record"):
            self.clients.renewed({new}, time.time())

    def finish_renewals(self, holders: Holders) -> None:
        """Where a kill left the old and the new certificate trusted: the old one is not any more.
        The client has kept both. Raises OSError."""
        self.clients.refresh()
        for new, old in list(self.clients.unfinished.items()):
            if (role := holders.role_of(old)) and holders.role_of(new) is role:
                self._blank(old)

    def _blank(self, who: str) -> None:
        for file in self.files.values():
            if who in file.view.trusted:
                file.disk.blank(who)
                file.inspect_again()

    def remove(self, leaving: Mapping[str, Role], uid: int | None) -> None:
        """All at once: a look at a large file costs as much as it takes to remove many. Raises
        OSError, and then they are trusted as before, unless the file was written in part."""
        with self.guard.reported("record"):
            self.by_hand.record()  # else an emptied store would have clients on record
        self.clients.refresh()
        for role in set(leaving.values()) - {Role.ADMIN}:
            self.files[role].in_order()  # else it could not be found out whether they are gone
        records = [self.clients.describe(who) for who in sorted(leaving)]
        with suppress(OSError):  # a full disk is no obstacle
            self.underway.note(leaving, leaving=True)
        with self.guard.reported("record"):
            self.clients.removed(leaving, uid, time.time())
        try:
            self._unmark(leaving)  # first: a kill now leaves a store that is in order
            for file in self.files.values():
                if here := file.view.trusted & leaving.keys():
                    file.disk.blank(*here)
        except OSError:
            with self.guard.reported("record"):
                self.clients.restore(records)
                self.underway.clear()
            with self.guard.reported("marker"):
                self._mark()
            raise
        with self.guard.reported("record"):
            self.underway.clear()

    def forget(self, role: Role, set_aside: Callable[[], Path]) -> Path:
        """Trust none of those on record with this lesser role, where its file is damaged. First
        they leave the files of greater roles, if they are in one, too: without the record they
        would have that role."""
        self.clients.refresh()
        holding = self.clients.holding(role)
        for greater in (file for each, file in self.files.items() if each > role):
            for who in sorted(holding & greater.view.trusted):
                self._unmark([who])
                greater.disk.blank(who)
                greater.inspect_again()
        kept = set_aside()
        self.clients.gone(holding, time.time())
        self.clients.refresh()
        return kept

    def _move(self, moving: Mapping[str, Role], role: Role) -> None:
        """Durable on return. Raises OSError, and then the clients have the roles that they had."""
        new = self.files[role]
        adding = sorted(moving.keys() - new.view.trusted)
        others = {each: file for each, file in self.files.items() if each is not role}
        try:
            texts = self._texts(adding)
            self.underway.note(moving)
            for who in adding:
                new.append(who, texts[who])
            self.clients.given(role, moving)
            if role is not Role.ADMIN:
                self._unmark(moving)
            for file in others.values():
                if here := file.view.trusted & moving.keys():
                    file.disk.blank(*here)
                    file.inspect_again()
        except OSError:
            # Where this fails as well, certificates are in both files, so the lesser role counts.
            with suppress(OSError):
                new.disk.blank(*adding)
                new.inspect_again()
            with suppress(OSError):
                for was in set(moving.values()):
                    self.clients.given(was, [who for who in moving if moving[who] is was])
                self.underway.clear()
            with self.guard.reported("marker"):
                self._mark()
            raise
        with self.guard.reported("marker"):
            self._mark()
        with self.guard.reported("record"):
            self.underway.clear()

    def _elsewhere(self, who: str, role: Role) -> list[PemFile]:
        """The files of other roles that it is in."""
        return [
            file
            for each, file in self.files.items()
            if each is not role and who in file.view.trusted
        ]

    def _texts(self, wanted: Iterable[str]) -> dict[str, bytes]:
        """The certificates in PEM, from the files that they are in."""
        found, missing = dict[str, bytes](), set(wanted)
        for file in self.files.values():
            if missing & file.view.trusted:
                data, _ = file.disk.read()
                for block in CERTIFICATE.finditer(data):
                    with suppress(ValueError):
                        der = body_to_der(block["body"])
                        if (who := fingerprint(der)) in missing:
                            found[who] = der_to_pem(der)
                missing -= found.keys()
        if missing:
            raise StoreError("another program has removed it meanwhile")
        return found

    def _mark(self) -> None:
        if self.files[Role.ADMIN].view.trusted:
            self.marker.set()

    def _unmark(self, leaving: Iterable[str]) -> None:
        admins = self.files[Role.ADMIN].view.trusted
        if admins and admins <= {*leaving}:
            self.marker.clear()
