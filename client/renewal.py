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
import time

from client import certificate
from client.certificate import CERTIFICATE, EARLIER, KEY, PENDING
from client.expiry import ATTEMPTED, der, is_due, is_good, may_try, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.certificate import Identity
    from client.server import Server

PATIENCE = 20.0  # seconds that the exchange may take


def renew(server: Server, identity: Identity) -> None:
    """Do what is missing, as the last accepted call showed `identity`. Raises OSError, ValueError,
    CommandFailed; after any failure the client gets in as before."""
    directory = os.path.dirname(identity[0])
    lock = _lock(directory)
    if lock is None:
        return  # another command does it
    try:
        if not may_try(identity, directory) or not is_due(identity):
            return
        _note_attempt(directory)
        _exchange(server, identity, directory)
        os.unlink(f"{directory}/{ATTEMPTED}")
    finally:
        os.close(lock)


def _exchange(server: Server, identity: Identity, directory: str) -> None:
    name = os.path.basename(identity[0])
    current, pending = f"{directory}/{CERTIFICATE}", f"{directory}/{PENDING}"
    if name in EARLIER and is_good(current):
        _call(server, identity, current)
        return
    if name != PENDING:
        if not is_good(pending):
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

    request = RenewRequest(certificate=der(new))
    peer = Peer(server, identity, warn=lambda _: None, alone=True)
    channel = Channel(peer, patience=0, deadline=time.monotonic() + PATIENCE)
    for _ in channel.call(grpc.path("renew", grpc.TRUST_SERVICE), request.encode()):
        pass


def _make(directory: str) -> None:
    certificate.add_site_packages()
    from datetime import UTC, datetime

    from protocol import certificates, client_certificate

    now = datetime.fromtimestamp(time.time(), UTC)
    made = certificates.make_client(now, read(f"{directory}/{KEY}"))
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

        client_certificate.write(kept, read(path), client_certificate.CERTIFICATE_MODE)


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
