"""A real SSH server on a free port of the loopback interface, in place of an instance's."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

from protocol.messages.guests import HostKeysReply
from protocol.messages.lifecycle import SSHInfo, SSHInfoReply
from tests import ports
from tests.client.service import Answer, replying
from tests.waiting import until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
# As root sshd wants a directory that Debian's unit makes. Where mounting is allowed, ours is gone
# with the process.
WITH_RUN = """
if unshare --mount mount -t tmpfs tmpfs /run 2>/dev/null; then
    exec unshare --mount sh -c 'mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec "$@"' \\
        sh "$@"
fi
mkdir -p -m 755 /run/sshd && exec "$@"
"""
# An sshd that is not root's changes a terminal's group to tty, and ends if that is not allowed. It
# doesn't if there is no such group: so it gets a group file of its own, if that can be mounted.
WITHOUT_TTY = """
own=$1 user=$(id -u) group=$(id -g) && shift
grep -v '^tty:' /etc/group > "$own"
if unshare --user --map-root-user --mount mount --bind "$own" /etc/group 2>/dev/null; then
    exec unshare --user --map-root-user --mount sh -c \\
        'mount --bind "$0" /etc/group && exec unshare --user "$@"' \\
        "$own" --map-user="$user" --map-group="$group" "$@"
fi
exec "$@"
"""


def missing() -> str:
    """Why there can be none; empty when there can."""
    if SSHD is None or shutil.which("ssh") is None:
        return "openssh-server or openssh-client is not installed"
    return ""


def terminals_are_of_group_tty() -> bool:
    """As where systemd mounted /dev/pts; elsewhere they are of their user's own group."""
    master, terminal = os.openpty()
    try:
        return os.fstat(terminal).st_gid == grp.getgrnam("tty").gr_gid
    except KeyError:
        return True  # sshd leaves them alone
    finally:
        os.close(master)
        os.close(terminal)


def make_key(path: Path) -> tuple[str, str]:
    """The private and the public half, as texts."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path],
        check=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return path.read_text(), path.with_suffix(".pub").read_text().strip()


class Sshd:
    """Lets this process's user in by one key, until it is closed."""

    def __init__(self, folder: Path, sftp: bool = True, **options: str) -> None:
        self._options = options
        self._sftp = sftp
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.private_key, self.public_key = make_key(folder / "user_key")
        _, self.host_key = make_key(folder / "host_key")
        self._folder = folder
        self.authorise(self.public_key)
        self._log = folder / "sshd.log"
        with ports.reserved() as self.port:
            self._process = self._start()
            self._wait_until_it_listens()

    @property
    def info(self) -> SSHInfo:
        return SSHInfo(
            host=ports.LOOPBACK,
            port=self.port,
            username=self.user,
            priv_key_base64=self.private_key,
        )

    def authorise(self, *lines: str) -> None:
        """These, and no others, are in the user's authorized_keys from now on."""
        (self._folder / "authorized_keys").write_text("".join(f"{line}\n" for line in lines))

    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        options = {
            "ListenAddress": f"{ports.LOOPBACK}:{self.port}",
            "HostKey": self._folder / "host_key",
            "AuthorizedKeysFile": self._folder / "authorized_keys",
            "PidFile": "none",
            "StrictModes": "no",  # the folder lies in one that others may write
            "UsePAM": "no",
            "PermitRootLogin": "yes",
            "PermitUserEnvironment": "no",
            "MaxStartups": "100",
            "Subsystem": f"sftp {SFTP_SERVER}" if self._sftp else "other /bin/false",
            **self._options,
        }
        command = [str(SSHD), "-D", "-f", "/dev/null", "-E", str(self._log)]
        for name, value in options.items():
            command += ["-o", f"{name}={value}"]
        if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
            command = ["sh", "-c", WITH_RUN, "sh", *command]
        elif os.geteuid() != 0 and not terminals_are_of_group_tty():
            command = ["sh", "-c", WITHOUT_TTY, "sh", str(self._folder / "group"), *command]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def _wait_until_it_listens(self) -> None:
        def listens() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"sshd did not start: {self._log.read_text()}")
            with socket.socket() as probe:
                return not probe.connect_ex((ports.LOOPBACK, self.port))

        until(listens, "sshd")


def reached_by(info: SSHInfo) -> Answer:
    return replying(SSHInfoReply(ssh_info={"guest": info}))


def keeping(key: str) -> Answer:
    return replying(HostKeysReply(host_keys={"guest": key}))
