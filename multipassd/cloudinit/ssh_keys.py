"""SSH keys: a host key for each instance, made here so that clients can know it, and the one key
that instances let the service and its clients in by, until it is replaced."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from multipassd.system.files import read_regular, write_atomically
from protocol.errors import StorageFailed

KEY_FILE = "ssh-keys/id_ed25519"
KEY_MODE, DIRECTORY_MODE = 0o600, 0o700
MAX_KEY = 16 * 1024  # an OpenSSH key has under 1 KiB, one of RSA under 3
# The file of a key that a rotation has made.
NUMBERED = re.compile(r"id_ed25519\.rotation-([2-9]|[1-9][0-9]{1,8})")
NO_KEY: Final = "-"  # in place of a key's name: the guest lets in certificates alone
# In place of one, of a guest whose disk is that of another: it may let in what that did.
UNCHECKED: Final = "?"
RETIRED = "retired.pub"
MOST_RETIRED = 500  # in one command for a guest, of less than 128 KiB
MAX_RETIRED = 1 << 20


class SshKey(NamedTuple):
    """`private` in OpenSSH's own format; `public` as in known_hosts: "ssh-ed25519 AAAA…"."""

    private: bytes
    public: str

    def __repr__(self) -> str:
        return f"SshKey(public={self.public!r})"


def make() -> SshKey:
    from multipassd.cloudinit import key_formats

    return SshKey(*key_formats.make())


def make_rsa() -> SshKey:
    """Takes a tenth of a second and more."""
    from multipassd.cloudinit import key_formats

    return SshKey(*key_formats.make_rsa())


class KeptKey:
    """A key in a file, made at the first need, so that a data directory without room or rights
    blocks no other call. `what` and `advice` are for the error: what it is, and what to do."""

    def __init__(self, path: Path, what: str, advice: str, *, is_rsa: bool = False) -> None:
        self.path = path
        self._is_rsa = is_rsa
        self._what = what
        self._advice = advice
        self._known: SshKey | None = None
        self._lock = threading.Lock()  # two first launches are in threads of their own

    @property
    def key(self) -> SshKey:
        """Raises StorageFailed."""
        with self._lock:
            if self._known is None:
                self._known = self._read_or_make()
            return self._known

    def _read_or_make(self) -> SshKey:
        try:
            return _read_or_make(self.path, self._is_rsa)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise StorageFailed(
                f"{self._what}, {self.path}, can't be used: {why}. {self._advice}"
            ) from None


class ServiceKey:
    """The shared key: the service and clients of 1.16 log in to instances by it.

    A rotation makes another one, in `id_ed25519.rotation-2` and so on. That with the highest number
    is the present one, so that making its file is all that a rotation has to do durably. Earlier
    ones stay as long as an instance is reached by them; their public halves, which no instance is
    to let in any more, stay in `retired.pub`.
    """

    def __init__(self, data: Path) -> None:
        self._first = self._kept(data / KEY_FILE)
        self._present: KeptKey | None = None
        self._lock = threading.RLock()

    @staticmethod
    def _kept(path: Path) -> KeptKey:
        return KeptKey(
            path,
            "The key that instances are reached by",
            "Please mend or restore it: running instances know no other.",
        )

    @property
    def path(self) -> Path:
        """Of the first key; the others' files are beside it."""
        return self._first.path

    @property
    def name(self) -> str:
        """Of the present key, for an instance's record; empty for the first one. Raises
        StorageFailed."""
        kept = self._now()
        return "" if kept is self._first else kept.path.name

    @property
    def present(self) -> tuple[str, str]:
        """Name and public key of the present key. Raises StorageFailed."""
        with self._lock:
            return self.name, self.public

    @property
    def exists(self) -> bool:
        """Was a key made? Raises StorageFailed."""
        return self._now().path.exists()

    @property
    def private(self) -> bytes:
        """Raises StorageFailed."""
        return self._now().key.private

    @property
    def public(self) -> str:
        """Raises StorageFailed."""
        return self._now().key.public

    def private_of(self, name: str) -> bytes:
        """The private key in the file of this name; of an empty name, the first. Raises
        StorageFailed."""
        if name == self.name:
            return self.private
        path = self.path.with_name(name or self.path.name)
        try:
            return read_regular(path, MAX_KEY)
        except OSError as error:
            own = not name or NUMBERED.fullmatch(name)
            what = "some instances" if own else "instances of Multipass 1.16"
            where = "a backup" if own else "1.16's ssh-keys/id_rsa or a backup"
            raise StorageFailed(
                f"The key that {what} are reached by, {path}, can't be read: "
                f"{error.strerror}. Please restore it, from {where}."
            ) from None

    def public_of(self, name: str) -> str:
        """The public key of the same; empty where it can't be told. Raises StorageFailed."""
        if name == self.name:
            return self.public
        from multipassd.cloudinit import key_formats

        return key_formats.public_of(self.private_of(name))

    # -- rotation ---------------------------------------------------------------------------------

    def rotate(self) -> str:
        """Make another key the present one, durably on return; its name. Raises StorageFailed, and
        then nothing has changed."""
        with self._lock:
            present = self._now()
            self.retire(present.key.public)
            kept = self._kept(self.path.with_name(_numbered(_number(present.path.name) + 1)))
            assert kept.key.public
            self._present = kept
            return kept.path.name

    def retire(self, public: str) -> None:
        """Note, durably, a public key that instances are not to let in any more. Raises
        StorageFailed."""
        with self._lock:
            known = self.retired()
            if public in known:
                return
            data = "".join(f"{each}\n" for each in [*known, public][-MOST_RETIRED:]).encode()
            path = self.path.with_name(RETIRED)
            try:
                write_atomically(path, data, KEY_MODE)
            except OSError as error:
                raise StorageFailed(
                    f"The shared SSH key is not replaced, as {path} can't be written: "
                    f"{error.strerror}."
                ) from None

    def retired(self) -> list[str]:
        """Public keys, the latest last. Raises StorageFailed."""
        path = self.path.with_name(RETIRED)
        try:
            return read_regular(path, MAX_RETIRED).decode("ascii", "replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailed(
                f"The list of former SSH keys, {path}, can't be read: {error.strerror}."
            ) from None

    def names(self) -> set[str]:
        """Of all keys of this service whose file is there; none where they can't be listed."""
        with suppress(OSError):
            found = os.listdir(self.path.parent)
            first = {""} if self.path.name in found else set()
            return first | {name for name in found if NUMBERED.fullmatch(name)}
        return set()

    def remove_all_but(self, needed: Container[str]) -> None:
        """Remove the files of earlier keys, except those of these names. Those of 1.16 are its
        vault's, too, and stay. Never fails."""
        with self._lock, suppress(OSError, StorageFailed):
            for name in self.names():
                if name != self.name and name not in needed:
                    self.path.with_name(name or self.path.name).unlink()

    def _now(self) -> KeptKey:
        """Raises StorageFailed."""
        with self._lock:
            if self._present is None:
                number = self._highest()
                path = self.path.with_name(_numbered(number))
                self._present = self._first if number == 1 else self._kept(path)
            return self._present

    def _highest(self) -> int:
        try:
            names = os.listdir(self.path.parent)
        except (FileNotFoundError, NotADirectoryError):
            return 1
        except OSError as error:
            raise StorageFailed(
                f"The keys in {self.path.parent} can't be listed: {error.strerror}."
            ) from None
        return max((_number(name) for name in names), default=1)


def _numbered(number: int) -> str:
    first = Path(KEY_FILE).name
    return first if number == 1 else f"{first}.rotation-{number}"


def _number(name: str) -> int:
    """Of a key's file; 1 for any other."""
    found = NUMBERED.fullmatch(name)
    return int(found[1]) if found else 1


def _read_or_make(path: Path, is_rsa: bool) -> SshKey:
    """Raises OSError, ValueError."""
    from multipassd.cloudinit import key_formats

    try:
        text = read_regular(path, MAX_KEY)
    except FileNotFoundError:
        made = make_rsa() if is_rsa else make()
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        write_atomically(path, made.private, KEY_MODE)
        return made
    return SshKey(*key_formats.read(text, is_rsa=is_rsa))
