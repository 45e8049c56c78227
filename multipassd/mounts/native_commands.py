"""What is run in a guest for native mounts, and what it tells. Pure."""

from __future__ import annotations

import shlex

from multipassd.mounts.guest_commands import refusal, shown

DONE, NO_VIRTIOFS = "mounted", "no virtiofs"

# `$tag ` at the beginning of a line of /proc/mounts: the file system is there already, e.g. after a
# restart of the daemon. Where a link of the guest leads is judged before anything is mounted there.
_PLACE = """
tag={tag} target={target}
cd && home=$(pwd -P) || exit
case $target in /*) ;; *) target=$home/$target ;; esac
mkdir -p "$target" 2>/dev/null || sudo mkdir -p "$target" 2>&1 </dev/null || exit 0
place=$(sudo realpath "$target" 2>&1 </dev/null) || {{ echo "$place"; exit 0; }}
printf '%s\\n%s\\n' "$home" "$place"
"""
_MOUNT = """
tag={tag} place={place}
grep -q "^$tag " /proc/mounts && {{ echo {done}; exit; }}
sudo modprobe virtiofs >/dev/null 2>&1 </dev/null
grep -qw virtiofs /proc/filesystems || {{ echo {no_virtiofs}; exit; }}
sudo mount -t virtiofs "$tag" "$place" 2>&1 </dev/null && echo {done}
"""
_GENTLY = 'sudo umount "$place" 2>&1 </dev/null'
_QUIETLY = 'sudo umount "$place" 2>/dev/null </dev/null'
_LAZILY = 'sudo umount -l "$place" 2>&1 </dev/null'
_UNMOUNT = """
tag={tag}
place=$(sed -n "s/^$tag \\([^ ]*\\) .*/\\1/p" /proc/mounts | tail -n 1)
[ -n "$place" ] || exit 0
place=$(printf '%b' "$(printf %s "$place" | sed 's/\\\\\\([0-7][0-7][0-7]\\)/\\\\0\\1/g')")
{how}
exit 0
"""


class NotMounted(Exception):
    """The guest did not mount it; the text is a clause of a sentence."""


def place(tag: str, target: str) -> str:
    """Makes the target's directory. For `placed`."""
    return _PLACE.format(tag=shlex.quote(tag), target=shlex.quote(target))


def placed(said: str) -> str:
    """Where the target leads, told by a guest that is not trusted. Raises NotMounted."""
    lines = said.splitlines()
    if len(lines) != 2:
        raise NotMounted(shown(said) or "the guest gave no reason")
    home, path = lines
    if why := refusal(path, home):
        raise NotMounted(why)
    return path


def mount(tag: str, path: str) -> str:
    """For `check`. Nothing to do where it is mounted already."""
    return _MOUNT.format(
        tag=shlex.quote(tag), place=shlex.quote(path), done=DONE, no_virtiofs=NO_VIRTIOFS
    )


def check(said: str) -> None:
    """Raises NotMounted."""
    if said.strip() == NO_VIRTIOFS:
        raise NotMounted(
            "the guest's kernel has no virtiofs (Linux has it since 5.4). Unmount it, and mount it "
            "without `--type native`"
        )
    if said.strip() != DONE:
        raise NotMounted(shown(said) or "the guest gave no reason")


def unmount(tag: str, *, dead: bool = False) -> str:
    """Prints why it failed. `dead`: its server is gone, so that only what touches no file of it
    returns."""
    how = _LAZILY if dead else f"{_QUIETLY} || {_LAZILY}"
    return _UNMOUNT.format(tag=shlex.quote(tag), how=how)


def release(tag: str) -> str:
    """Unmounts unless the guest uses it. Prints why not."""
    return _UNMOUNT.format(tag=shlex.quote(tag), how=_GENTLY)
