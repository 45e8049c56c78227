"""This client's certificate is renewed after a command, by a process that the command leaves.

The renewed certificate has the key that the old one has: TLS has proven that this client holds it,
1.16's client finds one pair that fits at any moment, and the exchange here is one rename. Stages:

    made        multipass_cert.pem.new, durable
    exchanged   the service trusts it in the place of the old one
    in place    the old one is kept as multipass_cert.pem.1, the new one renamed

After a kill in between a service refuses the old one, accepts the new one (`certificate.others`),
and the next command ends the work. A service that was not used since the exchange at another one
still knows an earlier certificate: there that one is exchanged for the present one.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from binascii import a2b_base64

from client import certificate
from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from protocol import validity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.certificate import Identity
    from client.server import Server
    from client.session import Session

WITHIN = 30 * 24 * 3600  # seconds before its end that a certificate is renewed
# Seconds between two attempts after one that failed: a service that can't do it, as 1.16's, or a
# clock that is wrong on one side, must not cost each command a process.
RETRY_AFTER = 24 * 3600
PATIENCE = 20.0  # seconds that the exchange may take
MOST = 64 << 10  # bytes of a certificate or key
ATTEMPTED = f"{CERTIFICATE}.attempt"  # its time stamp is that of the last attempt


def afterwards(session: Session) -> None:
    """At the end of a command: renew the certificate if that is due. Returns at once."""
    called = session.called()
    if called is None or called.identity is None or session.never_enrols:
        return
    try:
        directory = os.path.dirname(called.identity[0])
        if _is_due(called.identity) and _may_try(called.identity, directory):
            _leave(called.server, called.identity)
    except (OSError, ValueError):
        pass  # a certificate that can't be read is the command's to report


def renew(server: Server, identity: Identity) -> None:
    """Do what is missing, as the last accepted call showed `identity`. Raises OSError, ValueError,
    CommandFailed; after any failure the client gets in as before."""
    directory = os.path.dirname(identity[0])
    lock = _lock(directory)
    if lock is None:
        return  # another command does it
    try:
        if not _may_try(identity, directory) or not _is_due(identity):
            return
        _note_attempt(directory)
        _exchange(server, identity, directory)
        os.unlink(f"{directory}/{ATTEMPTED}")
    finally:
        os.close(lock)


def _exchange(server: Server, identity: Identity, directory: str) -> None:
    name = os.path.basename(identity[0])
    current, pending = f"{directory}/{CERTIFICATE}", f"{directory}/{PENDING}"
    if name in EARLIER and _is_good(current):
        _call(server, identity, current)
        return
    if name != PENDING:
        if not _is_good(pending):
            if os.path.exists(pending):
                identity = _put_aside(pending, directory, identity)
            _make(directory)
        _call(server, identity, pending)
    _put_in_place(directory)


def _put_aside(pending: str, directory: str, identity: Identity) -> Identity:
    """Among the earlier ones: a service may know this client by it. Returns where `identity` is."""
    inode = os.stat(identity[0]).st_ino
    os.rename(pending, _room_for_earlier(directory))
    paths = (f"{directory}/{name}" for name in (CERTIFICATE, *EARLIER))
    found = next(path for path in paths if os.path.exists(path) and os.stat(path).st_ino == inode)
    return found, identity[1]


def _call(server: Server, identity: Identity, new: str) -> None:
    """Have the service take one certificate for the other."""
    from client.transport.channel import Channel
    from client.transport.server_identity import Peer
    from protocol import grpc
    from protocol.messages.trust import RenewRequest

    request = RenewRequest(certificate=_der(new))
    peer = Peer(server, identity, warn=lambda _: None, alone=True)
    channel = Channel(peer, patience=0, deadline=time.monotonic() + PATIENCE)
    for _ in channel.call(grpc.path("renew", grpc.TRUST_SERVICE), request.encode()):
        pass


def _make(directory: str) -> None:
    certificate.add_site_packages()
    from datetime import UTC, datetime

    from protocol import certificates, client_certificate

    now = datetime.fromtimestamp(time.time(), UTC)
    made = certificates.make_client(now, _read(f"{directory}/{KEY}"))
    mode = client_certificate.CERTIFICATE_MODE
    client_certificate.write(f"{directory}/{PENDING}", made.certificate, mode)
    _sync(directory)


def _put_in_place(directory: str) -> None:
    """The old certificate stays as the newest of the earlier ones; the new one takes its name."""
    current, pending = f"{directory}/{CERTIFICATE}", f"{directory}/{PENDING}"
    if not os.path.exists(pending):
        return  # another command was faster
    newest = f"{directory}/{EARLIER[0]}"
    if not os.path.exists(newest) or not os.path.samefile(newest, current):
        _keep(current, _room_for_earlier(directory))
    os.rename(pending, current)
    _sync(directory)


def _room_for_earlier(directory: str) -> str:
    """The path for the newest of the earlier certificates; the others move up."""
    paths = [f"{directory}/{name}" for name in EARLIER]
    free = next((at for at, path in enumerate(paths) if not os.path.exists(path)), len(paths) - 1)
    for at in range(free, 0, -1):
        os.rename(paths[at - 1], paths[at])
    return paths[0]


def _keep(path: str, kept: str) -> None:
    try:
        os.link(path, kept)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        from protocol import client_certificate  # a file system without links

        client_certificate.write(kept, _read(path), client_certificate.CERTIFICATE_MODE)


def _is_due(identity: Identity) -> bool:
    """Whether it ends soon, or the service knows this client by another than the present one.
    One that is another user's, or lies elsewhere, is not this command's to replace."""
    directory = os.path.dirname(identity[0])
    status = os.lstat(f"{directory}/{CERTIFICATE}")
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        return False
    if not os.access(directory, os.W_OK):  # then no attempt could be noted either
        return False
    return os.path.basename(identity[0]) != CERTIFICATE or not _is_good(identity[0])


def _is_good(path: str) -> bool:
    """Whether it is valid for longer than a renewal waits, by this machine's clock."""
    try:
        begin, end = validity.period(_der(path))
    except FileNotFoundError:
        return False
    now = time.time()
    if os.path.basename(path) == CERTIFICATE:  # a clock that was put back is no reason to renew it
        begin = ""
    return begin <= _moment(now) and _moment(now + WITHIN) < end


def _moment(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))


def _may_try(identity: Identity, directory: str) -> bool:
    """What was exchanged has only to be put in place: 1.16's client has no other way to it."""
    return os.path.basename(identity[0]) == PENDING or not _attempted(directory)


def _attempted(directory: str) -> bool:
    """Whether the last attempt is less than a day away, in either direction of the clock."""
    try:
        at = os.stat(f"{directory}/{ATTEMPTED}").st_mtime
    except FileNotFoundError:
        return False
    return abs(time.time() - at) < RETRY_AFTER


def _note_attempt(directory: str) -> None:
    """Before it: one that crashes counts, too."""
    path = f"{directory}/{ATTEMPTED}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    now = time.time()
    os.utime(path, (now, now))


def _lock(directory: str) -> int | None:
    """None if another process is renewing, or that can't be known: on a home on a network without
    locks, two could each make a certificate, and the one that was exchanged be overwritten."""
    import fcntl

    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _der(path: str) -> bytes:
    """Of the first certificate; `protocol.pem` would load `re`. Raises OSError, ValueError."""
    _, _, rest = _read(path).partition(b"-----BEGIN CERTIFICATE-----")
    return a2b_base64(rest.partition(b"-----END CERTIFICATE-----")[0])


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(MOST)


def _leave(server: Server, identity: Identity) -> None:
    """Renew in a process that nothing waits for: not the shell, nor who reads this one's output."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            renew(server, identity)
    except BaseException:
        os._exit(1)  # the next attempt is a day away
    os._exit(0)
