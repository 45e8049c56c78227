"""Paths of the service's files, and its trust store as the verbs use it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from multipassd.admin.access import units
from multipassd.audit.record import Actor
from multipassd.system.installation import DEB_TREE, TREE, Installation
from multipassd.trust.disk import StoreDisk
from multipassd.trust.enrolled_marker import EnrolledMarker
from multipassd.trust.state import TrustState
from multipassd.trust.store import NAMES, TrustStore
from protocol import places
from protocol.pem import CERTIFICATE, body_to_der, fingerprint

# What the packaged unit sets for the daemon.
PACKAGED = {"MULTIPASS_STORAGE": places.STATE_DIRECTORY, "DAEMON_CONFIG_HOME": "/etc"}
PROGRAM = "multipass-trust"  # as the journal names it, for every package
KEPT = {*PACKAGED, "MULTIPASS_ROOT_CERT"}  # what tells where things lie


@dataclass(frozen=True)
class Place:
    """The files of one installation of the service."""

    data: Path
    machines: Path  # instances' disks, one directory each
    settings: Path
    root_certificate: Path
    socket: Path | None  # None: there is no saying which socket belongs to the data
    of_unit: bool = False  # it is where the packaged unit has the service look

    @property
    def store_path(self) -> Path:
        return self.data / places.TRUST_STORE

    @property
    def store_directory(self) -> Path:
        return self.store_path.parent

    @property
    def store_files(self) -> tuple[Path, ...]:
        """The file of each role."""
        return tuple(self.store_directory / name for name in NAMES.values())

    @property
    def owner(self) -> int:
        """uid of the service's user. The packaged unit runs as root; of another service root finds
        it by the owner of the data directory."""
        if self.of_unit or os.geteuid() != 0:
            return os.geteuid()
        try:
            return self.data.stat().st_uid
        except OSError:
            return os.geteuid()  # the one who makes it

    @property
    def owners(self) -> frozenset[int]:
        """uids whose files the service believes."""
        return frozenset({0, self.owner})

    def store(self, change: bool) -> TrustStore:
        """The store, read. Only with `change` is anything made or tidied up on the way."""
        store = TrustStore(self.store_directory, self.owner)
        if change:
            if self.data.parent == Path(places.STATE_DIRECTORY):
                _make_state_directory()
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            store.load()
        else:
            store.refresh()
        return store

    def state(self, store: TrustStore) -> TrustState:
        # The daemon makes the directory at its first start: without it no client is trusted.
        missing = not os.path.lexists(self.store_directory)
        if missing and not EnrolledMarker(self.store_directory).is_set():
            return TrustState.EMPTY
        return store.state


def find(environ: Mapping[str, str], data: Path | None, socket: Path | None) -> Place:
    """The place that the options name, else the one that the environment leads to."""
    named = environ.get("MULTIPASS_STORAGE")
    environ = _as_the_daemon_has_it(environ)
    here = Installation.of(environ)
    of_unit = data is None and (not named or named == _service(environ)["MULTIPASS_STORAGE"])
    if socket is None and of_unit:
        # Never with other data: the standard socket does not belong to that, and narrowing it
        # would lock others' users out.
        socket = Path(here.socket)
    storage = Path(here.storage)
    if data and data != Path(here.data):
        storage = data.parent if data.name == "data" else data  # as that data's daemon has it
    return Place(
        data=Path(data or here.data),
        machines=storage / "machines",
        settings=Path(here.settings),
        root_certificate=Path(here.root_certificate),
        socket=socket,
        of_unit=of_unit and environ.get("MULTIPASS_STORAGE") is not None,
    )


def _as_the_daemon_has_it(environ: Mapping[str, str]) -> dict[str, str]:
    environ = dict(environ)
    # The unit of the package tells the daemon where its data is; an administrator's shell knows
    # nothing of that. Where that directory exists, that package's daemon is the one here; and
    # before its first start, which makes the directory, if this program is that package's.
    packaged = os.path.isdir(places.STATE_DIRECTORY) or TREE == DEB_TREE
    has_units = Installation.of(environ).has_units
    if packaged and has_units and not environ.get("MULTIPASS_STORAGE"):
        service = _service(environ)
        environ = {**service, **environ, "MULTIPASS_STORAGE": service["MULTIPASS_STORAGE"]}
    if os.geteuid() == 0:
        environ["HOME"] = pwd.getpwuid(0).pw_dir  # the daemon's: some sudo keep the caller's
    return environ


def _service(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the packaged unit, with what an administrator's drop-ins change."""
    own = {**PACKAGED, "MULTIPASS_STORAGE": places.STATE_DIRECTORY}
    here = Installation.of(environ)
    if here.has_units and units.manager_runs():
        found = units.environment(here.daemon_unit)
        own |= {key: value for key, value in found.items() if key in KEPT}
    return own


def _make_state_directory() -> None:
    """As the unit makes it: clients read the root certificate there."""
    with suppress(FileExistsError):
        os.mkdir(places.STATE_DIRECTORY, 0o755)
        os.chmod(places.STATE_DIRECTORY, 0o755)  # independent of the umask


def may_change(place: Place) -> bool:
    """Is this root, or the owner of the store (or of where it would be made)?"""
    if os.geteuid() == 0:
        return True
    for path in (place.store_directory, *place.store_directory.parents):
        try:
            return path.stat().st_uid == os.geteuid()
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return False


def read_store(path: Path, owner: int) -> bytes:
    """A store's file, if only root and `owner` can write to it.

    Raises OSError: FileNotFoundError, or when the file is not fit to be believed.
    """
    return StoreDisk(path, frozenset({0, owner})).read()[0]


def certificates_in(data: bytes) -> dict[str, bytes]:
    """The certificates in a store's text by fingerprint, DER; broken blocks are left out."""
    found = {}
    for block in CERTIFICATE.finditer(data):
        try:
            der = body_to_der(block["body"])
        except ValueError:
            continue
        found[fingerprint(der)] = der
    return found


def invoker() -> int:
    """The uid of who is at work: behind sudo and pkexec the human, not root."""
    if os.geteuid() == 0:
        for name in ("SUDO_UID", "PKEXEC_UID"):
            value = os.environ.get(name, "")
            if value.isascii() and value.isdigit() and len(value) <= 10:
                return int(value)
    return os.getuid()


def actor(program: str = PROGRAM) -> Actor:
    """The same for the journal's records."""
    return Actor(uid=invoker(), pid=os.getpid(), program=program)
