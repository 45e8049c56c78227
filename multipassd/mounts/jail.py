"""A process that is a user of this host and sees one directory of it, and nothing else."""

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
from multipassd.mounts.sftp_files import MOST_HANDLES
from multipassd.system import installation, rights

FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SHARED = "/source"  # where a program finds the directory
SYSTEM = ("usr", "lib", "lib64")  # what a program of the host needs
PLACE = "/tmp"  # there on every host; nothing is written to it
SPARE_FILES = 64  # descriptors beside the peer's handles


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


def enter(source: str, user: User) -> None:
    """With the directory as its root directory. For this process and with no way back. Raises
    SourceRefused, NoJail, OSError."""
    _begin(user)
    directory = _open_as(source, user)
    try:
        rights.enter_as_root(directory, PLACE)
    finally:
        os.close(directory)
    _end(user, MOST_HANDLES + SPARE_FILES)


def enter_with_programs(source: str, user: User, system: str, most_files: int) -> None:
    """To run a program that serves the directory, at SHARED. `system`: the root directory that
    programs and libraries are taken from, which all users can read; nothing else is in sight but
    this process's own entry in /proc. Raises as `enter` does."""
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
    if os.geteuid() not in (0, user.uid):
        raise NoJail(
            f"the service runs as uid {os.geteuid()} and serves directories for that user only, "
            f"and it is uid {user.uid}'s"
        )
    _have_own_mounts()


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
    if not installation.here().can_serve_mounts:
        raise NoJail(
            "the snap may neither become its callers nor keep a directory apart from the rest of "
            "the host. `multipass transfer` copies files, and the deb's service mounts directories"
        )
    try:
        rights.own_mounts()
    except OSError as error:
        raise NoJail(
            "this service may not make a mount namespace, without which a symbolic link in the "
            f"directory could lead out of it: {error.strerror}"
        ) from None


def _open(source: str) -> int:
    """The directory, opened part by part: a link in its path, put there by another user after the
    mount was asked for, would lead elsewhere. Raises SourceRefused."""
    parts = [part for part in source.split("/") if part]
    if not source.startswith("/") or ".." in parts or "\0" in source:
        raise SourceRefused(f'"{source}" is no absolute path of a directory')
    directory = os.open("/", FLAGS)
    path = ""
    for part in parts:
        path += f"/{part}"
        try:
            inner = os.open(part, FLAGS, dir_fd=directory)
        except OSError as error:
            why = _why(source, path, part, directory, error)
            os.close(directory)
            raise SourceRefused(why) from None
        os.close(directory)
        directory = inner
    try:
        os.close(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory))
    except OSError:
        os.close(directory)
        raise SourceRefused(f'"{source}" is not readable') from None
    return directory


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
