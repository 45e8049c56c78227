"""What is run in a guest to change the keys that its login user is let in by, and what it says.

Pure. The file is replaced in one step, with its mode; lines that are none of ours stay as they are,
in their order. POSIX shell and the base tools alone, as any image has them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from multipassd.cloudinit.ssh_authority import COMMENT

MAX_FILE = 256 << 10  # bytes; a file of keys has under 10 KiB, and the shell reads it line by line
DONE, FAILED = "done", "failed: "

# `content` is built whole and compared with what was written, so that a full disk is noticed.
SCRIPT = """
LC_ALL=C; export LC_ALL; umask 077
place="$HOME/.ssh"; file="$place/authorized_keys"; new="$place/.authorized_keys.multipass"
fail() {{ echo "failed: $1"; exit 0; }}
add={add}; authority={authority}
[ ! -L "$HOME/.ssh" ] && [ ! -L "$file" ] || fail 'it is behind a symbolic link'
[ -f "$file" ] || fail 'it is missing'
[ -O "$file" ] || fail 'it belongs to another user'
[ "$(wc -c <"$file")" -le {most} ] || fail 'it is too large'
before=$(cat "$file" && echo x) || fail 'it can not be read'
set -- {olds}
content=; added=; edited=
while IFS= read -r line || [ -n "$line" ]; do
    found=; kept=1
    trimmed=${{line#"${{line%%[! ]*}}"}}
    case $trimmed in
    '#'*) ;;
    *)
        case $line in *"${{add:-#}}"*) added=1 ;; esac
        for old in "$@"; do
            case $line in
            *"$old"*) found=$old ;;
            *"${{old#* }}"*) edited=1 ;;
            esac
        done ;;
    esac
    case $line in
    "${{authority:-#}}") ;;
    cert-authority,principals=*' {comment}') [ -z "$authority" ] || kept= ;;
    esac
    if [ -n "$found" ]; then
        [ -z "{drop}" ] || kept=
        if [ -n "$add" ] && [ -z "$added" ]; then
            content="$content${{line%%"$found"*}}$add${{line#*"$found"}}{newline}"; added=1
        fi
    fi
    [ -z "$kept" ] || content="$content$line{newline}"
done <"$file"
[ -z "$edited" ] || fail 'a line of it with a key of the service was edited'
[ -z "$add" ] || [ -n "$added" ] || content="$content$add{newline}"
content="${{content}}x"
if [ "$content" != "$before" ]; then
    mode=$(stat -c %a "$file") || mode=600
    rm -f "$new"
    trap 'rm -f "$new"' EXIT
    printf %s "${{content%x}}" 2>/dev/null >"$new" || fail "$place can not be written, or is full"
    chmod "$mode" "$new" && sync
    [ "$(cat "$new" && echo x)" = "$content" ] || fail 'the disk is full'
    [ "$(cat "$file" && echo x)" = "$before" ] || fail 'it was changed at the same time'
    mv -f "$new" "$file" 2>/dev/null || fail 'it can not be replaced'
    sync
fi
echo done
"""


def add(key: str, former: Iterable[str]) -> str:
    """Let this public key in, beside the first of the former ones and with its options. Where there
    is none of them, in a line of its own."""
    return _script(key, former, drop=False)


def drop(former: Iterable[str], authority: str = "") -> str:
    """Let none of these public keys in, and certificates by no other line than `authority`: a disk
    that was copied has the line of its source. Without it such lines stay."""
    return _script("", former, authority, drop=True)


def outcome(said: str) -> str:
    """Why nothing was changed, a clause about the file; empty where it was."""
    last = said.strip().rpartition("\n")[2]
    if last == DONE:
        return ""
    if last.startswith(FAILED):
        shown = last.removeprefix(FAILED)[:200]
        return "".join(char for char in shown if char.isprintable())
    return "the guest can't run a shell script"


def _script(key: str, former: Iterable[str], authority: str = "", *, drop: bool) -> str:
    olds = " ".join(shlex.quote(each) for each in former if each != key)
    return SCRIPT.format(
        add=shlex.quote(key), olds=olds, drop="1" if drop else "", newline="\n", most=MAX_FILE,
        authority=shlex.quote(authority), comment=COMMENT,
    )  # fmt: skip
