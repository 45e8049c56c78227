"""Whether this client's certificate is to be renewed: looked at after each command.

Every command loads this while it waits for the service; `client/renewal.py` only one that renews.
"""

from __future__ import annotations

import posix
import time
from binascii import a2b_base64

from client.certificate import CERTIFICATE, PENDING, is_regular
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
MOST = 64 << 10  # bytes of a certificate or key
ATTEMPTED = f"{CERTIFICATE}.attempt"  # its time stamp is that of the last attempt


def afterwards(session: Session) -> None:
    """At the end of a command: renew the certificate if that is due. Returns at once."""
    called = session.called()
    if called is None or called.identity is None or session.never_enrols:
        return
    try:
        directory = called.identity[0].rpartition("/")[0]
        if is_due(called.identity) and may_try(called.identity, directory):
            _leave(called.server, called.identity)
    except (OSError, ValueError):
        pass  # a certificate that can't be read is the command's to report


def is_due(identity: Identity) -> bool:
    """Whether it ends soon, or the service knows this client by another than the present one.
    One that is another user's, or lies elsewhere, is not this command's to replace."""
    directory = identity[0].rpartition("/")[0]
    status = posix.lstat(f"{directory}/{CERTIFICATE}")
    if not is_regular(status.st_mode) or status.st_uid != posix.geteuid():
        return False
    if not posix.access(directory, posix.W_OK):  # then no attempt could be noted either
        return False
    return _name(identity) != CERTIFICATE or not is_good(identity[0])


def is_good(path: str) -> bool:
    """Whether it is valid for longer than a renewal waits, by this machine's clock."""
    try:
        begin, end = validity.period(der(path))
    except FileNotFoundError:
        return False
    now = time.time()
    if path.rpartition("/")[2] == CERTIFICATE:  # a clock that was put back is no reason to renew it
        begin = ""
    return begin <= _moment(now) and _moment(now + WITHIN) < end


def _moment(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))


def may_try(identity: Identity, directory: str) -> bool:
    """What was exchanged has only to be put in place: 1.16's client has no other way to it."""
    return _name(identity) == PENDING or not _attempted(directory)


def _attempted(directory: str) -> bool:
    """Whether the last attempt is less than a day away, in either direction of the clock."""
    try:
        at = posix.stat(f"{directory}/{ATTEMPTED}").st_mtime
    except FileNotFoundError:
        return False
    return abs(time.time() - at) < RETRY_AFTER


def der(path: str) -> bytes:
    """Of the first certificate; `protocol.pem` would load `re`. Raises OSError, ValueError."""
    _, _, rest = read(path).partition(b"-----BEGIN CERTIFICATE-----")
    return a2b_base64(rest.partition(b"-----END CERTIFICATE-----")[0])


def _name(identity: Identity) -> str:
    return identity[0].rpartition("/")[2]


def read(path: str) -> bytes:
    """A certificate or key. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(MOST)


def _leave(server: Server, identity: Identity) -> None:
    """Renew in a process that nothing waits for: not the shell, nor who reads this one's output."""
    child = posix.fork()
    if child:
        posix.waitpid(child, 0)
        return
    try:
        posix.setsid()
        if posix.fork() == 0:
            null = posix.open("/dev/null", posix.O_RDWR)
            for descriptor in (0, 1, 2):
                posix.dup2(null, descriptor)
            posix.closerange(3, posix.sysconf("SC_OPEN_MAX"))
            from client import renewal

            renewal.renew(server, identity)
    except BaseException:
        posix._exit(1)  # the next attempt is a day away
    posix._exit(0)
