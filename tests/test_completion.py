"""Completion is generated for three shells from the table of commands, and run in each of them.

A program `multipass` of ours stands first on PATH: it notes each time that a shell starts it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from client import commands
from client.settings import DEFAULTS
from protocol.settings import DAEMON_KEYS
from tools import terminal
from tools.completion import bash, fish, generate, zsh

KEYS = sorted({*DEFAULTS, *DAEMON_KEYS})
FORMATS = ["table", "json", "csv", "yaml"]
GET_OPTIONS = ["--help", "--verbose", "--raw", "--keys"]

# What is typed, up to the cursor, and what is offered.
LINES = {
    "multipass auth": ["authenticate", "auth"],
    "multipass -v ver": ["version"],
    "multipass list --format ": FORMATS,
    "multipass ls --sn": ["--snapshots"],
    "multipass get --": GET_OPTIONS,
    "multipass get client.": ["client.primary-name"],
    "multipass get local.p": [
        "local.passphrase",
        "local.passphrase-role",
        "local.privileged-mounts",
    ],
    "multipass set local.pa": ["local.passphrase-role=", "local.passphrase="],
    "multipass invite --role ": ["viewer", "user", "admin"],
    "multipass invite --role u": ["user"],
    "multipass revoke ": ["alice", "bob"],
    "multipass grant b": ["bob"],
    "multipass grant bob a": ["admin"],
    "multipass help auth": ["authenticate", "auth"],
    "multipass nonsense --": [],
    "multipass info ": ["asleep", "gone", "off", "on"],
    "multipass start o": ["off"],
    "multipass start a": ["asleep"],
    "multipass stop --all o": ["on"],
    "multipass suspend o": ["on"],
    "multipass sh o": ["off", "on"],
    "multipass recover ": ["gone"],
    "multipass launch -n ": [],
    "multipass launch --timeout ": [],
    "multipass stop -t ": [],
    "multipass launch --network eth": ["eth0", "eth1"],
    "multipass launch --cloud-init in": ["init.yaml"],
    "multipass get local.on": ["local.on.cpus", "local.on.disk"],
    "multipass set local.on": ["local.on.cpus=", "local.on.disk="],
    "multipass exec o": ["off", "on"],
    "multipass export o": ["off"],
    "multipass export off in": ["init.yaml"],
    "multipass import in": ["init.yaml"],
    "multipass import --as": ["--as-is"],
    "multipass exec on -- --": [],
    "multipass deplo": ["deploy"],
    "multipass unalias de": ["deploy"],
    "multipass prefer ": ["default", "work"],
    "multipass remote us": ["use"],
    "multipass remote use l": ["lab", "list", "local"],
    "multipass transfer o": ["on:"],
    "multipass transfer in": ["init.yaml"],
    "multipass copy-files -r init.yaml o": ["on:"],
    "multipass snapshot a": [],
    "multipass snapshot of": ["off"],
    "multipass clone of": ["off"],
    "multipass move o": ["off"],
    "multipass move off ": ["m1", "m2"],
    "multipass launch --target ": ["m1", "m2"],
    "multipass mount fol": ["folder"],
    "multipass mount folder o": ["off", "on"],
    "multipass umount o": ["on", "on:/data", "on:Home"],
    "multipass restore ": ["asleep.second", "asleep.snapshot1"],
    "multipass restore asleep.sn": ["asleep.snapshot1"],
    "multipass delete asleep.se": ["asleep.second"],
    "multipass info --format json asleep.se": ["asleep.second"],
}
# Some shells take `=` for the end of a word.
EQUALS = {
    "multipass list --format=": FORMATS,
    "multipass list --format=j": ["json"],
    "multipass launch --network=eth": ["eth0", "eth1"],
    "multipass set client.primary-name=": [],
    "multipass set client.primary-name=l": [],
    "multipass set local.passphrase-role=v": ["viewer"],
    "multipass set local.first-client=": ["admin", "nobody"],
}

# COMP_WORDS is what bash's readline would make of the line; a word may still be empty.
BASH = """
source "$DIRECTORY/multipass.bash"
compopt() { :; }  # bash refuses it outside of completing
read -ra COMP_WORDS <<< "${TYPED//=/ = }"
[[ $TYPED != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_multipass
printf '%s\\n' "${COMPREPLY[@]}"
"""

# The first prompt completes TYPED as a Tab would, then ends the shell. What is added is noted,
# except where it only asks which words would match (-O, -A, -D).
ZSHRC = """
cd "$DIRECTORY"
fpath=("$DIRECTORY" $fpath)
autoload -Uz compinit
compinit -u -d "$DIRECTORY/dump"
compadd() {
    local -a options matches
    options=("${(@)@[1,(i)(-|--)]}")
    if (( ! ${options[(I)-[a-zA-Z]#[ODA]]} )); then
        builtin compadd -O matches "$@"
        print -rl -- $matches >> $NOTED
    fi
    builtin compadd "$@"
}
zle-line-init() {
    BUFFER=$TYPED
    CURSOR=$#BUFFER
    zle complete-word
    exit 0
}
setopt EXTENDED_GLOB
zle -N zle-line-init
"""

FISH = 'source "$DIRECTORY/multipass.fish"; complete -C "$TYPED"'

STAND_IN = """#!/bin/sh
echo "$* NEVER_ENROL=$MULTIPASS_NEVER_ENROL" >> "$STARTED"
case "$1 $2" in
'list --snapshots')
    echo Instance,Snapshot,Parent,Comment
    printf '%s,snapshot1,,""\\nasleep,second,snapshot1,"two\\nlines"\\n' asleep ;;
'list '*)
    echo Name,State,IPv4,IPv6,Release,AllIPv4,Location
    printf '%s,,,Not Available,"",%s\\n' on,Running m1 off,Stopped m2 asleep,Suspended m1 \\
        gone,Deleted '' ;;
'aliases '*)
    echo 'Alias,Instance,Command,Working directory,Context'
    printf '%s\\n' 'build,on,make,map,default' 'deploy,on,sh -c "a,b",map,work*' ;;
'remote '*)
    printf '%s,,,\\n' Name local lab '' ;;
'info '*)
    printf '%s\\n' Name,State,Mounts on,Running,'/srv/a => Home;/b => /data,,1' off,Stopped, \\
        'asleep,Suspended,/x => a b' ;;
'clients '*)
    echo Name,Role,How,Since,Last seen,Expires,Certificate
    printf '%s,user,"invitation",,,,ab\\n' alice bob bob
    printf '\\nperson,kind,used,limit\\n' ;;
'networks '*)
    echo Name,Type,Description
    printf '%s,ethernet,"Ethernet device"\\n' eth0 eth1 wlan0 ;;
'get '*) printf '%s\\n' local.on.cpus local.on.disk local.passphrase ;;
esac
"""

Shell = Callable[[Path, str], list[str]]


def in_bash(place: Path, typed: str) -> list[str]:
    return run_script(place, typed, ["bash", "-euc", BASH])


def in_fish(place: Path, typed: str) -> list[str]:
    offered = run_script(place, typed, ["fish", "-c", FISH])
    return [line.split("\t")[0] for line in offered]


def in_zsh(place: Path, typed: str) -> list[str]:
    noted = place / "noted"
    noted.write_text("")
    env = environment(place, typed) | {"ZDOTDIR": str(place), "NOTED": str(noted), "TERM": "xterm"}
    (place / ".zshrc").write_text(ZSHRC)
    done = terminal.converse(["zsh", "-d", "-i"], [], env)
    assert done.returncode == 0, done.output
    return noted.read_text().split()


def run_script(place: Path, typed: str, command: list[str]) -> list[str]:
    done = subprocess.run(
        command,
        env=environment(place, typed),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.strip("\n").splitlines()


def environment(place: Path, typed: str) -> dict[str, str]:
    return {
        "DIRECTORY": str(place), "TYPED": typed, "HOME": str(place), "LANG": "C.UTF-8",
        "PATH": f"{place}/bin:{os.environ['PATH']}", "STARTED": str(place / "started"),
    }  # fmt: skip


SHELLS: dict[str, Shell] = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    assert generate.main([str(tmp_path)]) == 0
    (tmp_path / "bin").mkdir()
    stand_in = tmp_path / "bin/multipass"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    (tmp_path / "init.yaml").touch()
    (tmp_path / "folder").mkdir()
    return tmp_path


def test_every_shell_is_told_every_command() -> None:
    table = commands.every()
    for text in (bash.text(table), zsh.text(table), fish.text(table)):
        assert all(word in text for word in commands.MODULES)


def _values(offered: list[str], typed: str) -> set[str]:
    """Without the option that a value was typed behind: some shells offer both as one word.

    Nor is what stands there already an offer.
    """
    last = typed.split(" ")[-1]
    option = last.partition("=")[0] + "="
    return {
        (
            word.removeprefix(option) if option.startswith("--") or "=" in last else word
        ).removesuffix("/")
        for word in offered
        if word != last or "=" not in last
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_offers_commands_options_values_and_keys(shell: str, place: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed; ./dev test installs it where it may")
    expected = LINES | EQUALS
    offered = {typed: sorted(_values(SHELLS[shell](place, typed), typed)) for typed in expected}
    assert offered == {typed: sorted(words) for typed, words in expected.items()}
    # Completion neither enrols the first client nor starts the service.
    started = place / "started"
    lines = started.read_text().splitlines() if started.exists() else []
    assert all(line.endswith("NEVER_ENROL=1") for line in lines)
