"""What is run in a guest to mount and to unmount, and what it tells. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

MOUNTED = "mounted"  # what the guest's end of the SSH connection says, on stderr, once it is
# Changes on the host are seen in the guest after this, and not at each look-up of a name.
CACHE_SECONDS = 1
MISSING = "missing"
READY = "ready"
STALE_SECONDS = 5  # for the end of a server to reach the guest's sshfs
MAX_ID = 0xFFFFFFFE
MAX_SHOWN = 300  # characters of a guest's words
REFUSED = ("/dev", "/proc", "/sys")  # with all below
# Hidden, they take the log-in or `sudo` away, and then nothing can unmount them. What is below them
# may be mounted on, as /etc/nginx or /var/www.
SYSTEM = frozenset(
    (
        "/bin", "/boot", "/etc", "/etc/pam.d", "/etc/security", "/etc/ssh", "/etc/sudoers.d",
        "/lib", "/lib32", "/lib64", "/libx32", "/run", "/sbin", "/usr", "/usr/bin", "/usr/lib",
        "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/libx32", "/usr/sbin", "/usr/share",
        "/var", "/var/lib", "/var/run",
    )
)  # fmt: skip

# sshfs ends and unmounts when its input does, so nothing in the guest hangs on a dead server. The
# old name of the option `passive` is for Ubuntu 20.04. Links with `..` and absolute ones, which
# newer versions hide, are the user's own, and the guest's kernel follows them within the guest.
_SERVE = """
tag=$1 place=$2 options=allow_other,dcache_timeout={cache} help=$(sshfs --help 2>&1)
case $help in *passive*) options=$options,passive ;; *) options=$options,slave ;; esac
case $help in *no_contain_symlinks*) options=$options,no_contain_symlinks ;; esac
( while kill -0 $$ 2>/dev/null; do
    if grep -q "^$tag:/ " /proc/mounts; then
        stat "$place" >/dev/null && echo {mounted} >&2
        break
    fi
    sleep 0.1
done ) </dev/null >/dev/null &
exec sshfs -f "$tag:/" "$place" -o "$options"
"""

# A mount of the server before this one goes first. It may take a moment, or have no sshfs any more.
# One whose sshfs does not notice hangs all who look at it, and is ended before anything here does.
_PREPARE = """
command -v sshfs >/dev/null || [ -x /usr/bin/sshfs ] || {{ echo {missing}; exit; }}
tag={tag} target={target}
cd && home=$(pwd -P) || exit
case $target in /*) ;; *) target=$home/$target ;; esac
tries=$(( {stale} * 5 ))
while grep -q "^$tag:/ " /proc/mounts && [ $tries -gt 0 ]; do
    timeout 1 stat "$target" >/dev/null 2>&1
    case $? in 0) sleep 0.2 ;; 124 | 143) tries=$((tries - 4)) ;; *) break ;; esac
    tries=$((tries - 1))
done
if grep -q "^$tag:/ " /proc/mounts; then
    for each in /proc/[0-9]*; do
        case $(tr '\\0' ' ' 2>/dev/null <"$each/cmdline") in
        "sshfs -f $tag:/ "*) sudo kill -9 "${{each#/proc/}}" >/dev/null 2>&1 </dev/null ;;
        esac
    done
    sudo umount -l "$target" >/dev/null 2>&1 </dev/null
fi
stat "$target" >/dev/null 2>&1 || sudo umount -l "$target" >/dev/null 2>&1 </dev/null
mkdir -p "$target" 2>/dev/null || sudo mkdir -p "$target" 2>&1 </dev/null || exit 0
place=$(sudo realpath "$target" 2>&1 </dev/null) || {{ echo "$place"; exit 0; }}
printf '{ready} %s %s\\n%s\\n%s\\n' "$(id -u)" "$(id -g)" "$home" "$place"
"""

# What a process of the guest uses stays mounted: cut off, it would lose what it writes.
_RELEASE = """
tag={tag} place={place}
grep -q "^$tag:/ " /proc/mounts || exit 0
sudo umount "$place" 2>&1 </dev/null
exit 0
"""

# A lazy unmount where a process of the guest is in there: what it has open works until the server
# ends.
_UNMOUNT = """
tag={tag} place={place}
grep -q "^$tag:/ " /proc/mounts || exit 0
sudo umount "$place" 2>/dev/null </dev/null || sudo umount -l "$place" 2>&1 </dev/null
exit 0
"""

# The package lists may be missing or old. A first boot may hold the package manager's lock.
INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt="sudo -E apt-get -q -y -o DPkg::Lock::Timeout=240 -o Acquire::Retries=1"
{ if command -v apt-get; then
    $apt --no-install-recommends install sshfs \
        || { $apt update; $apt --no-install-recommends install sshfs; }
elif command -v dnf; then sudo dnf -y install fuse-sshfs || sudo dnf -y install sshfs
elif command -v yum; then sudo yum -y install fuse-sshfs
elif command -v zypper; then sudo zypper -n install sshfs
elif command -v apk; then sudo apk add sshfs
elif command -v pacman; then sudo pacman -S --noconfirm sshfs
fi; } >/dev/null 2>&1 </dev/null
true
"""


@dataclass(frozen=True)
class Prepared:
    """A guest that is ready for the mount; ids are those of its login user."""

    uid: int
    gid: int
    path: str


class NoSshfs(Exception):
    """The guest lacks the program."""


class Unprepared(Exception):
    """The guest can't mount there; the text is a clause of a sentence."""


def serve(tag: str, path: str) -> str:
    script = _SERVE.format(mounted=MOUNTED, cache=CACHE_SECONDS)
    return shlex.join(["sudo", "sh", "-c", script, "sh", tag, path])


def prepare(tag: str, target: str) -> str:
    """Makes the target's directory. For `prepared`."""
    return _PREPARE.format(
        missing=MISSING, ready=READY, stale=STALE_SECONDS,
        tag=shlex.quote(tag), target=shlex.quote(target),
    )  # fmt: skip


def release(tag: str, path: str) -> str:
    """Unmounts unless the guest uses it. Prints why not."""
    return _RELEASE.format(tag=shlex.quote(tag), place=shlex.quote(path))


def unmount(tag: str, path: str) -> str:
    """Prints why it failed, nothing where it is not mounted any more."""
    return _UNMOUNT.format(tag=shlex.quote(tag), place=shlex.quote(path))


def prepared(said: str) -> Prepared:
    """What `prepare` printed, by a guest that is not trusted. Raises NoSshfs, Unprepared."""
    lines = said.splitlines()
    if lines == [MISSING]:
        raise NoSshfs
    head = lines[0].split(" ") if lines else []
    if len(lines) != 3 or len(head) != 3 or head[0] != READY:
        raise Unprepared(shown(said) or "the guest gave no reason")
    if not all(word.isascii() and word.isdigit() and int(word) <= MAX_ID for word in head[1:]):
        raise Unprepared("the guest has no login user")
    home, path = lines[1:]
    if why := refusal(path, home):
        raise Unprepared(why)
    return Prepared(int(head[1]), int(head[2]), path)


def refusal(path: str, home: str) -> str:
    """Why nothing may be mounted there, where all links are resolved; empty if it may. What holds
    the login user's keys must stay in sight, or no log-in works any more."""
    if not path.startswith("/") or not home.startswith("/"):
        return "the guest names no absolute path"
    keys = f"{home.rstrip('/')}/.ssh"
    if _within(keys, path) or _within(path, keys):
        return f"a mount on {path} would hide the keys of the instance's user, and cut off SSH"
    if path in SYSTEM or any(_within(path, each) for each in REFUSED):
        return f"{path} is the guest's own"
    return ""


def _within(path: str, directory: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{directory.rstrip('/')}/")


def shown(text: str) -> str:
    """The last line of what a guest said, fit to show."""
    lines = [line for line in text.splitlines() if line.strip()]
    return "".join(filter(str.isprintable, lines[-1]))[-MAX_SHOWN:] if lines else ""
