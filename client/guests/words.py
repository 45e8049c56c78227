"""Command lines of OpenSSH's client, and the memory files that they name.

The private key and its certificate are in memory files of this process, which ssh opens as
`/proc/PID/fd/N`: nothing is on disk, so nothing is left behind, however this process ends.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from client.guests.guest import Guest

PROGRAM = "ssh"
CONNECT_WITHIN = 30  # seconds; a guest emulated on a busy machine answers late, but it answers
ALIVE_EVERY = 30  # seconds without data after which the guest is asked whether it is there
PRIVATE = 0o600
BEGIN_KEY = "-----BEGIN"
SHELL = "/bin/sh"  # ssh runs its ProxyCommand by $SHELL, which may be any

# Lines of ssh's log. The first distinguishes a remote 255 from ssh's own; before the second the
# instance has not been sent the command; the third: sessions are possible.
REPORTED = b"client_input_channel_req: channel 0 rtype exit-"
OPENED = b": channel 0: callback start"
LISTENS = b"mux listener channel"
UNSHARED = (b"unix_listener", b"muxserver_listen", b"disabling multiplexing")  # but not LISTENS
NOT_STARTED = b"\0"  # what a log begins with if ssh can't be executed; an errno follows
UNREAD = b": write failed"  # its output, as the reader has gone or the disk is full
LOG_SESSION = (
    "clientloop.c:client_input_channel_req():*,channels.c:channel_input_open_confirmation():*,"
    "nchan.c:chan_write_failed():*"
)
LOG_MASTER = "mux.c:muxserver_listen():*"

# The user's configuration, agent and known hosts are ignored, and ssh asks no question.
QUIET = ("LogLevel=ERROR", "BatchMode=yes")
LOGIN = (
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PreferredAuthentications=publickey",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    # The network is this host's bridge, or the service's TLS. The default of OpenSSH 9 takes this
    # host 50 ms and an emulated guest 20; its curve25519 takes that 20 more than OpenSSL's P-256.
    "KexAlgorithms=^ecdh-sha2-nistp256,curve25519-sha256",
    f"ConnectTimeout={CONNECT_WITHIN}",
    f"ServerAliveInterval={ALIVE_EVERY}",
    "ServerAliveCountMax=10",
)
SESSION = (f"LogVerbose={LOG_SESSION}", "EscapeChar=none")
# The master asks whether the guest is there; such questions of a session get no answer.
SHARED = ("ServerAliveInterval=0",)
MASTER = (f"LogVerbose={LOG_MASTER}", "ProxyCommand=-")


def alone(guest: Guest, log: int, *flags: str) -> list[str]:
    """A session on a connection of its own."""
    relayed = guest.relay.options() if guest.relay else ()
    options = (*QUIET, *LOGIN, *SESSION, "ControlPath=none", *_identity(guest), *relayed)
    return [*_begin(log), *flags, *_options(options), *_destination(guest)]


def master(guest: Guest, log: int, control: str) -> list[str]:
    """A connection without a session, over the socket that is its standard input; it offers
    sessions at the path `control`."""
    options = (*QUIET, *LOGIN, *MASTER, *_identity(guest))
    return [*_begin(log), "-N", "-M", "-S", control, *_options(options), *_destination(guest)]


def shared(guest: Guest, control: str, log: int, *flags: str, gate: int | None = None) -> list[str]:
    """A session on the connection of a master. `gate`: a pipe, for whose end ssh waits before it
    asks for the connection, as it is its (empty) configuration."""
    options = _options((*QUIET, *SESSION, *SHARED))
    proxy = ("-O", "proxy", "-S", control)
    begin = _begin(log, "none" if gate is None else _path(gate))
    return [*begin, *flags, *proxy, *options, *_destination(guest)]


def memory(name: str, content: bytes) -> int:
    """A memory file that only this user can read, as ssh requires of a key."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    os.fchmod(descriptor, PRIVATE)
    os.write(descriptor, content)
    return descriptor


def content(descriptor: int) -> bytes:
    """Of a memory file."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def environ() -> dict[str, str]:
    return {"TERM": "xterm"} | dict(os.environ) | {"SHELL": SHELL}


def _begin(log: int, configuration: str = "none") -> list[str]:
    return [PROGRAM, "-F", configuration, "-E", _path(log)]


def _destination(guest: Guest) -> list[str]:
    return ["-l", guest.ssh.username, "-p", str(guest.ssh.port), "--", guest.ssh.host]


def _options(options: Iterable[str]) -> list[str]:
    return [word for option in options for word in ("-o", option)]


def _identity(guest: Guest) -> tuple[str, ...]:
    """By what the client and the instance prove themselves to each other."""
    key = memory("key", _private_key(guest.ssh.priv_key_base64))
    certificate = (
        (f"CertificateFile={_path(memory('certificate', guest.certificate.encode()))}",)
        if guest.certificate
        else ()
    )
    return (f"IdentityFile={_path(key)}", *certificate, *_host_key(guest))


def _host_key(guest: Guest) -> tuple[str, ...]:
    if guest.host_key is None:
        return ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    known = f"{guest.name} {guest.host_key.strip()}\n".encode()
    return (
        "StrictHostKeyChecking=yes",
        f"HostKeyAlias={guest.name}",
        f"UserKnownHostsFile={_path(memory('known_hosts', known))}",
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


def _path(descriptor: int) -> str:
    return f"/proc/{os.getpid()}/fd/{descriptor}"
