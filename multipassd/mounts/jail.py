"""A process that is a user of this host and sees one directory of it, and nothing else.

A strict snap may neither become its callers nor make a mount namespace. There the process becomes
snap_daemon, opens what all users of the host may read, and reaches files below it alone.
"""

from __future__ import annotations

import errno
import os
import pwd
import resource
import stat
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from multipassd.auth.run_as_user import take_on
from multipassd.mounts.paths import Paths, PathsBelow
from multipassd.mounts.sftp_files import MOST_HANDLES
from multipassd.system import installation, rights
from multipassd.system.installation import SNAP_DAEMON

FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SHARED = "/source"  # where a program finds the directory
SYSTEM = ("usr", "lib", "lib64")  # what a program of the host needs
PLACE = "/tmp"  # there on every host; nothing is written to it
SPARE_FILES = 64  # descriptors beside the peer's handles
ENTER, LIST = stat.S_IXOTH, stat.S_IXOTH | stat.S_IROTH  # what all users may do
CONNECT = "`sudo snap connect multipass:removable-media`"
PLUG_HINT = (
    f" for the snap. {CONNECT} gives it what is below /media, /mnt and /run/media; of homes snapd "
    "gives a service nothing but its own files"
)


class SourceRefused(Exception):
    """The directory can't be served for this user; the text is a clause of a sentence."""


class NoJail(Exception):
    """This host does not let the directory be set apart; the text is a clause of a sentence."""


@dataclass(frozen=True)
class User:
    """Who is served: with the groups that the host's account has now."""

    uid: int
    gid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, uid: int, gid: int) -> User:
        """`gid` counts for a uid without an account, which has no other group."""
        try:
            account = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, gid, frozenset({gid}))
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        return cls(uid, account.pw_gid, frozenset(groups))


def server_of(user: User) -> User:
    """Who serves this user. Raises NoJail."""
    if not installation.here().confined:
        return user
    try:
        account = pwd.getpwnam(SNAP_DAEMON)
    except KeyError:
        raise NoJail(f"this host has no user {SNAP_DAEMON}, which snapd makes") from None
    return User(account.pw_uid, account.pw_gid, frozenset())


def enter(source: str, user: User) -> Paths:
    """With the directory as its root directory, or with the means to stay below it. For this
    process, `user` being the one who serves, and with no way back. Raises SourceRefused, NoJail,
    OSError."""
    if installation.here().confined:
        return _stay_below(source, user)
    _begin(user)
    directory = _open_as(source, user)
    try:
        rights.enter_as_root(directory, PLACE)
    finally:
        os.close(directory)
    _end(user, MOST_HANDLES + SPARE_FILES)
    return Paths()


def _stay_below(source: str, user: User) -> Paths:
    """As the user from the beginning, who has no right to anything that is not open to all but what
    is its own: that lies elsewhere than in the places that can be served."""
    _check_rights(user)
    places = installation.here().mount_places
    if not any(f"{source}/".startswith(f"{place.rstrip('/')}/") for place in places):
        raise SourceRefused(
            f'"{source}" is not below {", ".join(places[:-1])} or {places[-1]}, and the snap '
            "has no other directories of the host. `multipass transfer` copies files"
        )
    if os.geteuid() == 0:
        take_on(user.uid, user.gid, user.groups)
    directory = _open(source, shared=True)
    _end(user, 2 * MOST_HANDLES + SPARE_FILES)  # a listing has two
    return PathsBelow(directory)


def enter_with_programs(source: str, user: User, system: str, most_files: int) -> None:
    """To run a program that serves the directory, at SHARED. `system`: the root directory that
    programs and libraries are taken from, which all users can read; nothing else is in sight but
    this process's own entry in /proc. Raises as `enter` does."""
    if installation.here().confined:
        raise NoJail(
            "virtiofsd needs a mount namespace, and a strict snap may make none. A classic mount, "
            "by `--type classic`, needs none"
        )
    _begin(user)
    directory = _open_as(source, user)
    rights.mount_empty(PLACE, user.uid)
    for name in SYSTEM:
        path, place = os.path.join(system, name), os.path.join(PLACE, name)
        if os.path.islink(path):
            os.symlink(os.readlink(path), place)
        elif os.path.isdir(path):
            os.mkdir(place)
            rights.bind(path, place)
    for name in ("proc/self", "proc/sys/fs", SHARED.lstrip("/")):
        os.makedirs(os.path.join(PLACE, name))
    with open(f"{PLACE}/proc/sys/fs/nr_open", "w", encoding="ascii") as file:
        file.write(f"{most_files}\n")  # the host's would tell no more
    rights.bind("/proc/self", f"{PLACE}/proc/self")
    rights.bind(f"/proc/self/fd/{directory}", PLACE + SHARED)
    os.close(directory)
    root = os.open(PLACE, FLAGS)
    rights.enter_as_root(root, PLACE)
    os.close(root)
    # Other users have none by a program that they run. virtiofsd drops these before it serves.
    kept = (rights.SETGID, rights.SETPCAP) if user.uid == 0 else ()
    if kept and os.geteuid() == 0:
        rights.drop_bounding_set(kept)
    _end(user, most_files, kept)


def _begin(user: User) -> None:
    _check_rights(user)
    _have_own_mounts()


def _check_rights(user: User) -> None:
    """Raises NoJail."""
    if os.geteuid() not in (0, user.uid):
        raise NoJail(
            f"the service runs as uid {os.geteuid()} and serves directories for that user only, "
            f"and it is uid {user.uid}'s"
        )


def _open_as(source: str, user: User) -> int:
    """With the user's rights; from then on files are opened with no others. Raises SourceRefused,
    OSError."""
    if os.geteuid() == 0:
        os.setgroups(sorted(user.groups))
        rights.act_on_files_as(user.uid, user.gid)
    return _open(source)


def _end(user: User, most_files: int, kept: Collection[int] = ()) -> None:
    """The user's ids, and no capability; a program that root runs can get those that are kept."""
    if os.geteuid() == 0:
        take_on(user.uid, user.gid, user.groups)
    rights.drop_capabilities(set(rights.ALL) - set(kept))
    rights.no_new_privileges()
    with suppress(ValueError, OSError):  # the host allows less; then opening fails earlier
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        limit = most_files if hard == resource.RLIM_INFINITY else min(most_files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0)  # the guest's kernel has applied the guest's


def _have_own_mounts() -> None:
    """Raises NoJail where the host does not let this process have any."""
    try:
        rights.own_mounts()
    except OSError as error:
        raise NoJail(
            "this service may not make a mount namespace, without which a symbolic link in the "
            f"directory could lead out of it: {error.strerror}"
        ) from None


def _open(source: str, *, shared: bool = False) -> int:
    """The directory, opened part by part: a link in its path, put there by another user after the
    mount was asked for, would lead elsewhere. `shared`: only if it is open to all users of the
    host. Raises SourceRefused."""
    parts = [part for part in source.split("/") if part]
    if not source.startswith("/") or ".." in parts or "\0" in source:
        raise SourceRefused(f'"{source}" is no absolute path of a directory')
    directory = os.open("/", FLAGS)
    path = ""
    try:
        for part in parts:
            if shared:
                _check_open_to_all(path or "/", directory, ENTER)
            path += f"/{part}"
            directory = _step(source, path, part, directory)
        if shared:
            _check_open_to_all(source, directory, LIST)
        _check_readable(source, directory, PLUG_HINT if shared else "")
    except SourceRefused:
        os.close(directory)
        raise
    return directory


def _step(source: str, path: str, part: str, directory: int) -> int:
    """Into a part, out of the directory, which is closed. Raises SourceRefused."""
    try:
        inner = os.open(part, FLAGS, dir_fd=directory)
    except OSError as error:
        raise SourceRefused(_why(source, path, part, directory, error)) from None
    os.close(directory)
    return inner


def _check_readable(source: str, directory: int, hint: str) -> None:
    """Raises SourceRefused."""
    try:
        os.close(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory))
    except OSError:
        raise SourceRefused(f'"{source}" is not readable{hint}') from None


def _check_open_to_all(path: str, directory: int, wanted: int) -> None:
    """Raises SourceRefused."""
    if os.fstat(directory).st_mode & wanted != wanted:
        may, bits = ("list", "o+rx") if wanted == LIST else ("enter", "o+x")
        raise SourceRefused(
            f'not all users of this host may {may} "{path}". The snap can\'t act with the '
            f"rights of its callers, so it serves what is open to all. `chmod {bits}` opens it; or "
            f"use a directory below /mnt, after {CONNECT}; the deb also serves closed directories"
        )


def _why(source: str, path: str, part: str, directory: int, error: OSError) -> str:
    if error.errno in {errno.ENOTDIR, errno.ELOOP}:
        with suppress(OSError):
            if stat.S_ISLNK(os.lstat(part, dir_fd=directory).st_mode):
                return (
                    f'"{path}" is a symbolic link; mount the directory that it leads to by its own '
                    "path"
                )
        return f'"{path}" is not a directory'
    if error.errno == errno.ENOENT:
        return f'"{path}" does not exist'
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f'"{source}" is not readable'
    return f'"{path}" can\'t be opened: {error.strerror}'
