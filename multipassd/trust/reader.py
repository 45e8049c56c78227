"""What the trust store's files say: who is trusted as what, and what is wrong with them.

`refresh` and `role_of` may run in the event loop while one worker thread changes the files.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path

from multipassd.trust.changes import Changer
from multipassd.trust.client_record import BY_HAND, ClientRecord
from multipassd.trust.clients import Clients
from multipassd.trust.disk import StoreDisk
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.lock import Guard
from multipassd.trust.manual_changes import ByHand, Changes
from multipassd.trust.pem_file import PemFile
from multipassd.trust.state import LESSER, NONE, Holders, TrustState
from multipassd.trust.view import Observer
from protocol.pem import CERTIFICATE, body_to_der
from protocol.roles import Role

FILE_NAME = "multipass_client_certs.pem"
NAMES = {  # of the files; 1.16 knows the admins' alone
    Role.ADMIN: FILE_NAME,
    Role.USER: "multipass_user_certs.pem",
    Role.VIEWER: "multipass_viewer_certs.pem",
}
CLIENTS_NAME = "clients.jsonl"
INVITATIONS_NAME = "invitations.json"  # kept by multipassd/auth/invitations.py

SHOWN = 5  # fingerprints that a warning lists

_VIEWER, _USER, _ADMIN = Role.VIEWER, Role.USER, Role.ADMIN
ASCENDING = (*LESSER, Role.ADMIN)  # a certificate in two files is not more for a moment
_STRANGER: tuple[Role | None, str] = (None, "")


class StoreReader:
    """The trusted client certificates with their roles, as of the files."""

    def __init__(self, directory: Path, owner: int | None = None) -> None:
        self.directory = directory
        self.path = directory / FILE_NAME
        # Root's files are as good as our own: root could write to ours, too.
        self._owners = frozenset({os.geteuid() if owner is None else owner, 0})
        self._clients = Clients(directory / CLIENTS_NAME, self._owners)
        self._marker = EnrolledMarker(directory)
        self._holders = Holders()
        self._by_hand = ByHand(self._clients, lambda: self._holders)
        self._publishing = threading.RLock()
        self._files = {role: self._file(role) for role in NAMES}
        self._main = self._files[Role.ADMIN]
        self._guard = Guard(directory)
        self._changer = Changer(
            self._files, self._clients, self._by_hand, self._marker, self._guard
        )
        self._next_flush = -inf

    def _file(self, role: Role) -> PemFile:
        disk = StoreDisk(self.directory / NAMES[role], self._owners)
        marker = self._marker if role is Role.ADMIN else None
        observer = Observer(disk, self._clients, role, marker, self._owners)
        return PemFile(disk, observer, self._publishing, self._passed, self._join)

    def _passed(self) -> frozenset[str]:
        """Fingerprints of what is a certificate: each was looked at before it was put on record."""
        return self._by_hand.trusted or self._clients.known()

    # Questions

    @property
    def state(self) -> TrustState:
        """Of the admins' file: only where it is EMPTY is a first client adopted."""
        return self._main.view.state

    @property
    def damage(self) -> str:
        """What is wrong, why, and what to do; empty unless the state is DAMAGED."""
        return self._main.view.damage

    def damaged_roles(self) -> dict[Role, str]:
        """The lesser roles whose file is damaged, so that their clients are not let in, with what
        is wrong, why, and what to do."""
        found = {role: self._files[role].view.damage for role in LESSER}
        return {role: why for role, why in found.items() if why}

    @property
    def problems(self) -> list[str]:
        """What is worth a warning though the store works."""
        side = [self._clients.problem] if self._clients.problem else []
        views = [
            f"{NAMES[role]}, {each}" for role in LESSER for each in self._files[role].view.problems
        ]
        found = [*self._main.view.problems, *views, *self._guard.problems.values(), *side]
        if self.state is not TrustState.DAMAGED:
            found += self.damaged_roles().values()
        if self.doubt:
            found.append(self.doubt)
        return found

    @property
    def doubt(self) -> str:
        """Whose role is in doubt, as a certificate is in two files; empty if none is."""
        both = self.in_two_files()
        if not both:
            return ""
        some = ", ".join(each[:16] for each in sorted(both)[:SHOWN])
        return (
            f"{len(both)} client{'s are' if len(both) > 1 else ' is'} in the files of two roles, "
            f"so the lesser role counts: {some}{', ...' if len(both) > SHOWN else ''}"
        )

    def in_two_files(self) -> frozenset[str]:
        admins, users, viewers = (file.view.trusted for file in self._files.values())
        return (admins & users) | (admins & viewers) | (users & viewers)

    def trusts(self, fingerprint: str) -> bool:
        return fingerprint in self._holders.everyone

    def role_of(self, fingerprint: str) -> Role | None:
        """None if it is not trusted."""
        return self._holders.role_of(fingerprint)

    def name_of(self, fingerprint: str) -> str:
        return self._clients.name_of(fingerprint)

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        """Role and name, in one step for the gate; None and empty if it is not trusted."""
        holders = self._holders
        if fingerprint in holders.viewers:
            return _VIEWER, self._clients.name_of(fingerprint)
        if fingerprint in holders.users:
            return _USER, self._clients.name_of(fingerprint)
        if fingerprint in holders.admins:
            return _ADMIN, self._clients.name_of(fingerprint)
        return _STRANGER

    def was_removed(self, fingerprint: str) -> bool:
        """Is its removal the last that is on record of it?"""
        self._clients.refresh()
        return self._clients.was_removed(fingerprint)

    def certificates(self) -> Iterator[bytes]:
        """All that are trusted, DER, as far as their files can be read now."""
        for file in self._files.values():
            with suppress(OSError):
                for block in CERTIFICATE.finditer(file.disk.read()[0]):
                    with suppress(ValueError):
                        yield body_to_der(block["body"])

    def identity(self, fingerprint: str) -> tuple[str, str]:
        """Name and role, for a record in the journal; empty if it is not trusted."""
        role, name = self.holder_of(fingerprint)
        return ("", "") if role is None else (name, str(role))

    def role_of_person(self, name: str, uid: int | None = None) -> Role | None:
        """The least role of the certificates with this name, or of this user of the host, in effect
        or on record: the file that one is in may be lost. None if there are none."""
        self._clients.refresh()
        everyone = self._holders.everyone
        roles = [self.role_of(each) for each in everyone if self.name_of(each) == name]
        roles += [
            each.role or _VIEWER  # one that this version does not know counts as the least
            for each in self._clients.records()
            if each.name == name or (uid and each.uid == uid)  # root, who gets in, has no limit
        ]
        return min((role for role in roles if role), default=None)

    def role_of_unattributed(self) -> Role | None:
        """The least role of clients of which only the certificate is known, as when their records
        are lost: any user of the host could be one of them. None if there are none."""
        holders = self._holders
        unknown = (self._clients.describe(each).how == BY_HAND for each in holders.viewers)
        if any(unknown):
            return _VIEWER
        unknown = (self._clients.describe(each).how == BY_HAND for each in holders.users)
        return _USER if any(unknown) else None

    def hidden(self) -> list[ClientRecord]:
        """Clients that are not let in, as the file of their role is damaged: they are back once
        that is repaired."""
        self._clients.refresh()
        damaged = self.damaged_roles()
        found = NONE.union(*(self._clients.holding(role) for role in damaged))
        return [self._clients.describe(each) for each in sorted(found - self._holders.everyone)]

    @property
    def holders(self) -> Holders:
        """Another value after each change of trust."""
        return self._holders

    def fingerprints(self) -> frozenset[str]:
        return self._holders.everyone

    def __len__(self) -> int:
        return len(self._holders.everyone)

    def records(self) -> list[ClientRecord]:
        """All trusted clients with what is known about them."""
        self._clients.refresh()
        return [self._record(each) for each in sorted(self._holders.everyone)]

    def _record(self, who: str) -> ClientRecord:
        return self._clients.describe(who)._replace(role=self.role_of(who))

    def take_changes(self) -> Changes:
        """Who was added and who removed by hand, as `flush` found out since the last call."""
        return self._by_hand.take()

    def take_renewals(self) -> dict[str, str]:
        """Renewals that an earlier service did not live to report: the new by the old ones."""
        return self._by_hand.take_renewals()

    # Reading

    def load(self) -> None:
        """Read everything. Never raises for what is wrong on disk: state and problems tell."""
        with self._guard.reported("load"):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._main.observer.directory_complaint():
                with self._guard.locked():
                    self._main.disk.sweep()
        self._clients.refresh()
        self.refresh()

    def refresh(self) -> bool:
        """Look whether the files changed, and read those that did; True if state or trust changed.
        The lesser roles first."""
        state, holders = self.state, self._holders
        directory = self._main.observer.directory_stamp()
        for role in ASCENDING:
            self._files[role].refresh(directory)
        return state is not self.state or holders is not self._holders

    def _inspect_again(self) -> TrustState:
        """The truth on disk now; under the lock and in a worker thread."""
        for role in LESSER:
            self._files[role].inspect_again()
        return self._main.inspect_again().state

    def _join(self) -> None:
        """What follows from both files, whenever one of them was read."""
        main = self._main.view
        if main.state is TrustState.DAMAGED:
            self._hold(Holders())
            return
        admins, users = main.trusted, self._files[_USER].view.trusted
        viewers = self._files[_VIEWER].view.trusted
        # A lost or damaged file of a lesser role gives none of its clients a greater role, whose
        # file it is in as well.
        lost = self._on_record_only()
        users |= lost[_USER] & admins
        viewers |= lost[_VIEWER] & (admins | users)
        self._hold(Holders(admins, users, viewers))
        if self._by_hand.saw(self._holders.everyone.union(*lost.values())):
            self._next_flush = -inf

    def _on_record_only(self) -> dict[Role, frozenset[str]]:
        """The clients of each lesser role whose file is damaged, as on record."""
        damaged = self.damaged_roles()
        if damaged:
            self._clients.refresh()
        return {role: self._clients.holding(role) if role in damaged else NONE for role in LESSER}

    def _hold(self, holders: Holders) -> None:
        """The same value stays the same object: that is how a change is noticed."""
        if holders != self._holders:
            self._clients.refresh()  # a client must not be seen without its name
            self._holders = holders
