"""A private directory for one daemon and its clients: nothing outside of it is used."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
MULTIPASS = CHECKOUT / "bin" / "multipass"
MULTIPASSD = CHECKOUT / "bin" / "multipassd"

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended, as in shells

# A Unix socket's path ends at 107 bytes; a hundred leaves room for a temporary name beside it.
SOCKET_PATH_LIMIT = 100


@dataclass(frozen=True)
class Sandbox:
    """The directory, and the paths and environments in it."""

    root: Path

    @classmethod
    def create(cls, wanted: Path | None = None) -> "Sandbox":
        """A sandbox in ``wanted``, emptied first, or in a temporary directory with a short path.

        The latter if ``wanted`` is used by another run or can't be written to, or if its socket's
        path would be too long.
        """
        if wanted is not None and _fits(wanted) and _take(wanted):
            root = wanted
        else:
            root = Path(tempfile.mkdtemp(prefix="multipass-", dir="/tmp"))
        try:
            root.chmod(0o755)  # clients may be other users; the umask may be stricter
            for name in ("daemon", "root-certificate", "clients"):
                (root / name).mkdir()
                (root / name).chmod(0o755)
        except BaseException:  # also KeyboardInterrupt
            shutil.rmtree(root, ignore_errors=True)
            raise
        return cls(root)

    def remove(self) -> None:
        """Remove the directory, and unmount a disk for the daemon's storage."""
        if os.path.ismount(self.storage):
            subprocess.run(["umount", "--lazy", str(self.storage)], check=True)
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def socket_path(self) -> Path:
        return self.root / "multipass.sock"

    @property
    def address(self) -> str:
        return f"unix:{self.socket_path}"

    @property
    def storage(self) -> Path:
        return self.root / "daemon"

    @property
    def data(self) -> Path:
        return self.storage / "data"

    @property
    def store_path(self) -> Path:
        return self.data / "authenticated-certs" / "multipass_client_certs.pem"

    @property
    def settings_path(self) -> Path:
        return self.root / "daemon-config" / "multipassd" / "multipassd.conf"

    @property
    def root_cert(self) -> Path:
        return self.root / "root-certificate" / "multipass_root_cert.pem"

    @property
    def log_path(self) -> Path:
        return self.root / "daemon.log"

    @property
    def pid_path(self) -> Path:
        return self.root / "daemon.pid"

    def home(self, client: str) -> Path:
        return self.root / "clients" / client

    def certificate(self, client: str) -> Path:
        return self.home(client) / "data" / "multipass-client-certificate" / "multipass_cert.pem"

    def key(self, client: str) -> Path:
        return self.certificate(client).with_name("multipass_cert_key.pem")

    def daemon_env(self) -> dict[str, str]:
        return {
            **_plain_environment(),
            "HOME": str(self.root / "daemon"),
            "MULTIPASS_STORAGE": str(self.storage),
            "DAEMON_CONFIG_HOME": str(self.root / "daemon-config"),
            "MULTIPASS_ROOT_CERT": str(self.root_cert),
        }

    def env(self, client: str) -> dict[str, str]:
        """The environment of the client called ``client``; its home is made at the first call."""
        home = self.home(client)
        home.mkdir(mode=0o700, exist_ok=True)
        return {
            **_plain_environment(),
            "HOME": str(home),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_RUNTIME_DIR": str(home),  # its own, as the path of a socket must be short
            "MULTIPASS_ROOT_CERT": str(self.root_cert),
            "MULTIPASS_SERVER_ADDRESS": self.address,
        }


def daemon_command(*options: str) -> list[str]:
    """The daemon from this checkout, under the Python that runs us (the .venv's)."""
    return [sys.executable, "-IS", str(MULTIPASSD), "--logger", "stderr", *options]


def _fits(root: Path) -> bool:
    return len(os.fsencode(root / "multipass.sock")) <= SOCKET_PATH_LIMIT


def _take(root: Path) -> bool:
    """Lock ``root`` for the life of this process, and empty it; False if that is impossible."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # another user's checkout, or a read-only one
        return False
    if not os.access(root, os.W_OK):
        os.close(lock)
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    for entry in root.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    return True


def _plain_environment() -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
