"""What is offered after each command, for all shells: words, and what asks the service for more.

The calls enrol no client.
"""

from __future__ import annotations

from collections.abc import Sequence

from client.arguments.commandline import HELP, VERBOSE, Option
from client.command import Command
from client.settings import DEFAULTS
from protocol.roles import NAMES
from protocol.settings import (
    DAEMON_KEYS,
    FIRST_CLIENT,
    PASSPHRASE_ROLE,
    PRIVILEGED_MOUNTS,
    REFUSE_EXPIRED,
    SHARED_SSH_KEY,
)

FORMATS = ("table", "json", "csv", "yaml")
ROLES = tuple(NAMES)
# What a setting can be, of those with few values.
VALUES = {
    FIRST_CLIENT: ("admin", "nobody"),
    PASSPHRASE_ROLE: ROLES,
    PRIVILEGED_MOUNTS: ("true", "false"),
    REFUSE_EXPIRED: ("true", "false"),
    SHARED_SSH_KEY: ("true", "false"),
}
KEYS = tuple(sorted({*DEFAULTS, *DAEMON_KEYS}))
# The states of instances that a command accepts; all if none is given.
INSTANCES: dict[str, tuple[str, ...]] = {
    "clone": ("Stopped",),
    "delete": (),
    "exec": ("Running", "Stopped", "Suspended"),
    "export": ("Stopped",),
    "info": (),
    "mount": ("Running", "Stopped", "Suspended"),
    "move": ("Stopped",),
    "recover": ("Deleted",),
    "restart": ("Running",),
    "shell": ("Running", "Stopped", "Suspended"),
    "snapshot": ("Stopped",),
    "start": ("Stopped", "Suspended"),
    "stop": ("Running", "Delayed Shutdown"),
    "suspend": ("Running",),
}
ONE_INSTANCE = (
    "clone",
    "exec",
    "export",
    "move",
    "shell",
    "snapshot",
)  # what follows it is not one
# Their arguments are snapshots: each of them, or those that are written with a point.
SNAPSHOTS, MAYBE_SNAPSHOTS = ("restore",), ("delete", "info")
DIRECTORY = "mount"  # its first argument is a directory, the others are instances
FIRST_FILE, SECOND_FILE = ("import",), ("export",)  # which of their arguments is a file
SECOND_ROLE = "grant"  # its second argument is a role
SECOND_MEMBER = "move"  # its second argument is a host of the cluster
KEYED = ("get", "set")  # their argument is the key of a setting
FILES, NETWORKS, MEMBERS = "cloud-init", "network", "target"  # options whose values are such
ASK = "MULTIPASS_NEVER_ENROL=1 multipass list --format csv --no-ipv4 2>/dev/null"
ASK_NETWORKS = "MULTIPASS_NEVER_ENROL=1 multipass networks --format csv 2>/dev/null"
# The hosts that have instances already, where there is a last column for them.
ASK_MEMBERS = (
    f'{ASK} | awk -F, \'NR == 1 {{ located = $NF == "Location" }}'
    ' NR > 1 && located && $NF != "" { print $NF }\' | sort -u'
)
ASK_KEYS = "MULTIPASS_NEVER_ENROL=1 multipass get --keys 2>/dev/null"
# Without the further lines of comments.
ASK_SNAPSHOTS = (
    "MULTIPASS_NEVER_ENROL=1 multipass list --snapshots --format csv 2>/dev/null"
    " | sed -En '2,$ s/^([a-zA-Z0-9-]+),([a-zA-Z0-9-]+),.*/\\1.\\2/p'"
)
_ASK_ALIASES = "MULTIPASS_NEVER_ENROL=1 multipass aliases --format csv 2>/dev/null"
ASK_ALIASES = f"{_ASK_ALIASES} | sed 1d | cut -d, -f1"
ASK_CONTEXTS = f"{_ASK_ALIASES} | sed -E '1d; s/.*,//; s/[*]$//' | sort -u"
# Each instance that has mounts, and each mount; those with a space are left to be typed.
ASK_MOUNTS = (
    "MULTIPASS_NEVER_ENROL=1 multipass info --no-runtime-information --format csv 2>/dev/null"
    " | awk -F, 'NR > 1 { s = $0; if (s ~ / => /) print $1; while (match(s, / => [^;,]+/)) {"
    " t = substr(s, RSTART + 4, RLENGTH - 4); s = substr(s, RSTART + RLENGTH);"
    ' if (t !~ / /) print $1 ":" t } }\''
)
# The verbs of `remote`, and the names that they take. It calls no service.
ASK_REMOTES = (
    "printf 'add\\nlist\\nuse\\nremove\\n';"
    " MULTIPASS_NEVER_ENROL=1 multipass remote list --format csv 2>/dev/null | sed 1d | cut -d, -f1"
)
# Names of people, where the caller may list them; further sections follow an empty line.
ASK_CLIENTS = (
    "MULTIPASS_NEVER_ENROL=1 multipass clients --format csv 2>/dev/null"
    " | sed -n '1d; /^$/q; s/,.*//p' | sort -u"
)
# What lists the words of a command.
ASKED = {
    "grant": ASK_CLIENTS,
    "prefer": ASK_CONTEXTS,
    "remote": ASK_REMOTES,
    "revoke": ASK_CLIENTS,
    "umount": ASK_MOUNTS,
    "unalias": ASK_ALIASES,
}
SIDES = "transfer"  # its arguments are files, and instances with a colon
NOTICE = "# Generated from the table of commands by tools/completion."


def options_of(command: Command) -> list[Option]:
    return [option for option in (HELP, VERBOSE, *command.options) if not option.hidden]


def words_of(option: Option) -> list[str]:
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in option.names]


def is_format(option: Option) -> bool:
    return option.metavar == "format"


def is_role(option: Option) -> bool:
    return option.metavar == "role"


def names_of(command: Command) -> list[str]:
    return [command.name, *command.aliases]


def first_words(command: Command, table: Sequence[Command]) -> list[str]:
    """The values of a command's first argument; empty if only the service knows them."""
    if command.name == "help":
        return [name for other in table for name in names_of(other)]
    if command.name == "set":
        return [f"{key}=" for key in KEYS]
    return list(KEYS) if command.name == "get" else []


def brief(text: str) -> str:
    """The first sentence, without characters that are special in shells."""
    return text.split(". ")[0].split("\n")[0].rstrip(".").replace("[", "(").replace("]", ")")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
