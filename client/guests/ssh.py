"""Run a command or a login shell inside an instance, with OpenSSH's client.

The private key and its certificate are in memory files of this process, which ssh opens as
`/proc/PID/fd/N`: nothing is on disk, so nothing is left behind, however this process ends.
"""

from __future__ import annotations

import os
import signal

from client import instance_messages
from client.errors import CommandFailed
from client.guests import relay
from client.guests.guest import Refused
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.guests.guest import Guest

PROGRAM = "ssh"
OWN_FAILURE = 255  # ssh's exit code when it fails, and also a remote command's own 255
CONNECT_WITHIN = 30  # seconds; a guest emulated on a busy machine answers late, but it answers
ALIVE_EVERY = 30  # seconds without data after which the guest is asked whether it is there
PRIVATE = 0o600
BEGIN_KEY = "-----BEGIN"

# ssh logs the remote exit status, which distinguishes a remote 255 from ssh's own.
REPORTED = b"client_input_channel_req: channel 0 rtype exit-"
LOG_REPORTS = "clientloop.c:client_input_channel_req():*"

# The latter where few attempts are allowed: the certificate and its key count as two.
REFUSALS = ("Permission denied", "Too many authentication failures")
SUBSYSTEM_REFUSED = b"subsystem request failed"

# The user's configuration, agent and known hosts are ignored, and ssh asks no question.
OPTIONS = (
    "LogLevel=ERROR",
    f"LogVerbose={LOG_REPORTS}",
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "ControlPath=none",
    "EscapeChar=none",
    # The network is this host's bridge; the newer default takes an emulated guest 0.1 s.
    "KexAlgorithms=^curve25519-sha256",
    f"ConnectTimeout={CONNECT_WITHIN}",
    f"ServerAliveInterval={ALIVE_EVERY}",
    "ServerAliveCountMax=10",
)
# Forwarded to ssh, which then ends and restores the terminal's modes.
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


def run(guest: Guest, command: str | None) -> int:
    """The remote command's exit status; without a command, a login shell's. Raises CommandFailed.

    The remote side gets a terminal only if stdin and stdout are terminals.
    """
    return guest.log_in(lambda found: _attempt(found, command))


def _attempt(guest: Guest, command: str | None) -> int:
    log = _memory("log", b"")
    terminal = "-tt" if console.is_live() else "-T"
    words = _words(guest, log, terminal)
    try:
        code = _run(words if command is None else [*words, command], _environ())
        if code != OWN_FAILURE:
            return code
        said = _content(log)
        if REPORTED in said:
            return code
        raise _failure(guest, said)
    finally:
        _let_go(guest)


def _words(guest: Guest, log: int, *flags: str) -> list[str]:
    ssh = guest.ssh
    words = [PROGRAM, "-F", "none", "-E", _path(log), *flags]
    for option in (
        *OPTIONS,
        f"IdentityFile={_path(_memory('key', _private_key(ssh.priv_key_base64)))}",
        *_certificate_options(guest),
        *_host_key_options(guest),
        *(guest.relay.options() if guest.relay else ()),
    ):
        words += ["-o", option]
    return [*words, "-l", ssh.username, "-p", str(ssh.port), "--", ssh.host]


def _certificate_options(guest: Guest) -> tuple[str, ...]:
    if not guest.certificate:
        return ()
    return (f"CertificateFile={_path(_memory('certificate', guest.certificate.encode()))}",)


def _host_key_options(guest: Guest) -> tuple[str, ...]:
    if guest.host_key is None:
        return ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    known = f"{guest.name} {guest.host_key.strip()}\n".encode()
    return (
        "StrictHostKeyChecking=yes",
        f"HostKeyAlias={guest.name}",
        f"UserKnownHostsFile={_path(_memory('known_hosts', known))}",
    )


def _private_key(text: str) -> bytes:
    """The text of a key file, as it is or in base64."""
    if text.lstrip().startswith(BEGIN_KEY):
        return text.strip().encode() + b"\n"
    import binascii

    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        return b""  # ssh reports that it can't use the key


def _memory(name: str, content: bytes) -> int:
    """A memory file that only this user can read, as ssh requires of a key."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(descriptor, PRIVATE)
    os.write(descriptor, content)
    return descriptor


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _environ() -> dict[str, str]:
    return {"TERM": "xterm"} | dict(os.environ) | {"SHELL": relay.SHELL}


def _run(words: list[str], environ: dict[str, str]) -> int:
    """Its exit code, or 128 and the signal's number, as a shell has it."""
    # If SIGCHLD was inherited as ignored, waitpid would fail.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What nohup ignores, ssh must ignore, too.
    forwarded = {number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    watched = {signal.SIGCHLD, *forwarded}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # none is lost before the wait
    try:
        # Python ignores SIGPIPE; ssh needs it to end when its reader has gone.
        child = os.posix_spawnp(
            words[0], words, environ, setsigmask=before, setsigdef=(signal.SIGPIPE,)
        )
        return _wait(child, watched)
    except OSError as error:
        raise _not_started(error) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: int, watched: set[signal.Signals]) -> int:
    """Wait for the end of `child`; forward all other signals to it."""
    got: list[int] = []
    while True:
        number = signal.sigwait(watched)
        if number != signal.SIGCHLD:
            got.append(number)
            os.kill(child, number)  # the pid is valid until it is waited for
            continue
        ended, status = os.waitpid(child, os.WNOHANG)  # 0: it was only stopped
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return 128 + got[0] if got else code if code >= 0 else 128 - code


class Subsystem:
    """A subsystem of the instance's SSH server, such as sftp: ssh's process, and a socket to it.

    Ctrl-C does not reach that process, so that what has begun can be cleaned up.
    """

    def __init__(self, guest: Guest, name: str) -> None:
        """Raises CommandFailed."""
        import socket

        self._guest = guest
        self.connection, theirs = socket.socketpair()
        self._log = _memory("log", b"")
        words = [*_words(guest, self._log, "-T", "-s"), name]
        null = os.open(os.devnull, os.O_WRONLY)  # what the instance writes to stderr is not shown
        copies = [(os.POSIX_SPAWN_DUP2, each, to) for to, each in enumerate((theirs.fileno(),) * 2)]
        try:
            self._child = os.posix_spawnp(
                words[0], words, _environ(), setpgroup=0, setsigdef=(signal.SIGPIPE,),
                file_actions=[*copies, (os.POSIX_SPAWN_DUP2, null, 2)],
            )  # fmt: skip
        except OSError as error:
            _let_go(guest)
            raise _not_started(error) from error
        finally:
            theirs.close()
            os.close(null)

    def close(self) -> None:
        """End ssh, also where the instance does not answer any more."""
        if not self._child:
            return
        self.connection.close()
        os.kill(self._child, signal.SIGTERM)
        self._reap()
        _let_go(self._guest)

    def failure(self, had_begun: bool) -> CommandFailed:
        """Why the connection ended, once it has ended; `had_begun` to work before."""
        self._reap()
        self.connection.close()
        try:
            return self._failure(_content(self._log), had_begun)
        finally:
            _let_go(self._guest)

    def _failure(self, said: bytes, had_begun: bool) -> CommandFailed:
        if SUBSYSTEM_REFUSED in said or (REPORTED in said and not had_begun):
            return CommandFailed(instance_messages.NO_SFTP, instance_messages.NO_SFTP_HINT)
        if REPORTED in said:
            return CommandFailed(instance_messages.SFTP_ENDED)
        return _failure(self._guest, said)

    def _reap(self) -> None:
        child, self._child = self._child, 0
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass  # SIGCHLD was inherited as ignored


def _let_go(guest: Guest) -> None:
    """ssh has ended, so nothing is relayed any more."""
    if guest.relay:
        guest.relay.close()


def _not_started(error: OSError) -> CommandFailed:
    if isinstance(error, FileNotFoundError):
        return CommandFailed(instance_messages.NO_SSH, instance_messages.NO_SSH_HINT)
    return CommandFailed(error.strerror or str(error))


def _failure(guest: Guest, said: bytes) -> CommandFailed:
    """The error for a failure of ssh itself, or of the way to the instance."""
    if guest.relay and (failure := guest.relay.failure()):
        return failure
    text = said.decode("utf-8", "replace")
    if "Host key verification failed" in text:
        return CommandFailed(
            instance_messages.WRONG_HOST_KEY, instance_messages.WRONG_HOST_KEY_HINT
        )
    if any(each in text for each in REFUSALS):
        return Refused(instance_messages.NOT_LET_IN, instance_messages.NOT_LET_IN_HINT)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return CommandFailed(lines[-1].removeprefix("ssh: ") if lines else instance_messages.SSH_LOST)
