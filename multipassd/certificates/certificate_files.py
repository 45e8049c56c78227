"""The files of the daemon's certificates: read, if only root can have written them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from multipassd.system import log
from multipassd.system.files import read_regular, write_atomically

CERTIFICATE = "localhost.pem"
KEY = "localhost_key.pem"
ROOT_KEY = "localhost_root_key.pem"
FORMER_ROOT = "localhost_former_root.pem"  # of this project: 1.16 does not look for it

MAX_FILE = 64 << 10  # a certificate with a key is some 2 KiB
SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
SECRET_DIRECTORY_MODE = 0o700
PUBLIC_DIRECTORY_MODE = 0o755
PASSAGE = 0o011  # lets everybody reach a file whose name they know, but list nothing

_log = log.get("identity")


class CertificateFiles:
    """Root and server certificate with their keys. `problems`: what could not be written."""

    def __init__(self, data: Path, root_certificate: Path) -> None:
        self._data = data
        self.directory = data / "certificates"
        self.root_certificate = root_certificate
        self.problems: list[str] = []

    def read_secret(self, name: str) -> bytes:
        path = self.directory / name
        data = self.read(path)
        with suppress(OSError):
            if data and path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(SECRET_MODE)
        return data

    def read(self, path: Path) -> bytes:
        """Empty when there is nothing to rely on."""
        try:
            status = path.lstat()
            if status.st_uid not in {0, os.geteuid()} or status.st_mode & stat.S_IWOTH:
                _log.warning("%s is not used: others than root may have written it", path)
                return b""
            return read_regular(path, MAX_FILE)
        except FileNotFoundError:
            return b""
        except OSError as error:
            _log.warning("%s can't be read: %s", path, error.strerror or error)
            return b""

    def write(self, path: Path, data: bytes, mode: int) -> None:
        secret = path.parent == self.directory
        try:
            _make_directories(
                path.parent, SECRET_DIRECTORY_MODE if secret else PUBLIC_DIRECTORY_MODE
            )
            write_atomically(path, data, mode)
        except OSError as error:
            self.problems.append(
                f"The daemon's certificate could not be saved, so clients may not accept it: "
                f"{path}: {error.strerror or error}."
            )

    def let_clients_read(self) -> None:
        """Clients of all users read the root certificate, in the data directory if need be: in the
        snap, where the directory above that is ours, too."""
        with suppress(OSError):
            _open(self.root_certificate, PUBLIC_MODE)
            if self.root_certificate.parent == self._data:  # in the snap
                for directory in (self._data, self._data.parent):
                    _open(directory, PASSAGE)
                _open(self._data.parent, PASSAGE)


def _open(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.lstat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)


def _make_directories(path: Path, mode: int) -> None:
    """Like mkdir -p, but the umask has no say in the modes of what is made."""
    if path.is_dir():
        return
    _make_directories(path.parent, mode | PASSAGE)
    with suppress(FileExistsError):
        path.mkdir(mode)
        path.chmod(mode)
