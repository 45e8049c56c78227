"""Completion for bash, zsh and fish, generated from the client's table of commands.

`python3 -m tools.completion DIRECTORY` writes one file for each shell. Names of instances and
networks and the instances' settings come from the service, by calls that enrol no client.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from client import commands
from client.arguments.commandline import GLOBAL_OPTIONS, HELP, VERBOSE, Option
from client.command import Command
from client.settings import DEFAULTS
from protocol.settings import DAEMON_KEYS

FORMATS = ("table", "json", "csv", "yaml")
KEYS = tuple(sorted({*DEFAULTS, *DAEMON_KEYS}))
# The states of instances that a command accepts; all if none is given.
INSTANCES: dict[str, tuple[str, ...]] = {
    "clone": ("Stopped",),
    "delete": (),
    "exec": ("Running", "Stopped", "Suspended"),
    "export": ("Stopped",),
    "info": (),
    "mount": ("Running", "Stopped", "Suspended"),
    "recover": ("Deleted",),
    "restart": ("Running",),
    "shell": ("Running", "Stopped", "Suspended"),
    "snapshot": ("Stopped",),
    "start": ("Stopped", "Suspended"),
    "stop": ("Running", "Delayed Shutdown"),
    "suspend": ("Running",),
}
ONE_INSTANCE = ("clone", "exec", "export", "shell", "snapshot")  # what follows it is not one
# Their arguments are snapshots: each of them, or those that are written with a point.
SNAPSHOTS, MAYBE_SNAPSHOTS = ("restore",), ("delete", "info")
DIRECTORY = "mount"  # its first argument is a directory, the others are instances
FIRST_FILE, SECOND_FILE = ("import",), ("export",)  # which of their arguments is a file
KEYED = ("get", "set")  # their argument is the key of a setting
FILES, NETWORKS = "cloud-init", "network"  # options whose values are such
ASK = "MULTIPASS_NEVER_ENROL=1 multipass list --format csv --no-ipv4 2>/dev/null"
ASK_NETWORKS = "MULTIPASS_NEVER_ENROL=1 multipass networks --format csv 2>/dev/null"
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
# What lists the words of a command.
ASKED = {"prefer": ASK_CONTEXTS, "umount": ASK_MOUNTS, "unalias": ASK_ALIASES}
SIDES = "transfer"  # its arguments are files, and instances with a colon
NOTICE = "# Generated from the table of commands by tools/completion.py."


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python3 -m tools.completion DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    table = commands.every()
    for name, text in (
        ("multipass.bash", bash(table)),
        ("_multipass", zsh(table)),
        ("multipass.fish", fish(table)),
    ):
        (directory / name).write_text(text, encoding="utf-8")
    return 0


def options_of(command: Command) -> list[Option]:
    return [option for option in (HELP, VERBOSE, *command.options) if not option.hidden]


def words_of(option: Option) -> list[str]:
    return [f"-{name}" if len(name) == 1 else f"--{name}" for name in option.names]


def is_format(option: Option) -> bool:
    return option.metavar == "format"


def names_of(command: Command) -> list[str]:
    return [command.name, *command.aliases]


def first_words(command: Command, table: Sequence[Command]) -> list[str]:
    """The values of a command's first argument; empty if only the service knows them."""
    if command.name == "help":
        return [name for other in table for name in names_of(other)]
    if command.name == "set":
        return [f"{key}=" for key in KEYS]
    return list(KEYS) if command.name == "get" else []


def bash(table: Sequence[Command]) -> str:
    cases = []
    for command in table:
        words = [word for option in options_of(command) for word in words_of(option)]
        words += first_words(command, table)
        cases.append(
            f"        {'|'.join(names_of(command))}) words='{' '.join(words)}'"
            f"{_bash_instances(command)}{_bash_keys(command)} ;;"
        )
    every = " ".join(name for command in table for name in names_of(command))
    return "\n".join(
        [
            NOTICE,
            "# Names of instances, of all or of those in one of the states given.",
            "_multipass_instances() {",
            "    local name state _",
            "    while IFS=, read -r name state _; do",
            '        [[ $# -ne 0 && "|$*|" != *"|$state|"* ]] || printf \'%s \' "$name"',
            f"    done < <({ASK} | tail -n +2)",
            "}",
            "_multipass() {",
            "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}",
            "    local command='' word words",
            "    COMPREPLY=()",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            "        [[ $word == -* ]] || { command=$word; break; }",
            "    done",
            "    # What stands behind `=` is a word of its own to bash, and so is `=`.",
            "    if [[ $current == = ]]; then",
            "        current=''",
            "    elif [[ $previous == = ]]; then",
            "        previous=${COMP_WORDS[COMP_CWORD-2]}",
            "    fi",
            "    case $command/$previous in",
            *_bash_values(table),
            "        set/local.*|set/client.*) return ;;",
            "    esac",
            "    # What runs inside is for the shell inside to complete.",
            '    local before=" ${COMP_WORDS[*]:1:COMP_CWORD-1} "',
            '    [[ $command != exec || $before != *" -- "* ]] || return 0',
            "    case $command in",
            f"        '') words='{every} -h --help -v --verbose '\"$({ASK_ALIASES})\" ;;",
            *cases,
            "        *) return ;;",
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
            "    # A key is followed by its value at once.",
            "    [[ $command != set || ${COMPREPLY[0]-} != *= ]] || compopt -o nospace",
            *_BASH_SIDES,
            "}",
            "complete -F _multipass multipass",
            "",
        ]
    )


_BASH_SIDES = (
    "    # Files, and instances with a colon; what is behind one lies in the instance.",
    "    [[ $command == transfer || $command == copy-files ]] || return 0",
    "    if [[ $current == : || $previous == : ]]; then",
    "        COMPREPLY=()",
    "    elif [[ $current != -* ]]; then",
    "        [[ ${COMPREPLY[0]-} != *: ]] || compopt -o nospace",
    "        compopt -o filenames",
    '        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$current")',
    "    fi",
)


def _bash_values(table: Sequence[Command]) -> list[str]:
    """The values of an option; mostly unknown."""
    cases = []
    for command in table:
        for option in options_of(command):
            if not option.metavar:
                continue
            label = "|".join(
                f"{name}/{word}" for name in names_of(command) for word in words_of(option)
            )
            offer = ""
            if option.key == FILES:
                offer = 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); '
            elif is_format(option):
                offer = _bash_offer(_quoted(" ".join(FORMATS)))
            elif option.key == NETWORKS:
                offer = _bash_offer(f'"$({ASK_NETWORKS} | tail -n +2 | cut -d, -f1)"')
            cases.append(f"        {label}) {offer}return ;;")
    return cases


def _bash_offer(words: str) -> str:
    return f'mapfile -t COMPREPLY < <(compgen -W {words} -- "$current"); '


def _bash_keys(command: Command) -> str:
    """Complete the instances' settings, if the word begins like one."""
    if command.name not in KEYED:
        return ""
    end = "=" if command.name == "set" else ""
    return f"; [[ $current != local.* ]] || words+=\" $({ASK_KEYS} | sed 's/$/{end}/')\""


def _bash_instances(command: Command) -> str:
    snapshots = f'words="$({ASK_SNAPSHOTS})"'
    if command.name in SNAPSHOTS:
        return f"; [[ $current == -* ]] || {snapshots}"
    if command.name in FIRST_FILE:
        return f"; [[ $current == -* ]] || {_BASH_FILES}"
    if command.name in ASKED:
        ask = f'; [[ $current == -* ]] || words="$({ASKED[command.name]})"'
        return ask + (_BASH_COLON if command.name == "umount" else "")
    if command.name == SIDES:
        sides = 'words="$(_multipass_instances Running)"; words=${words// /: }'
        return f"; [[ $current == -* ]] || {{ {sides}; }}"
    states = INSTANCES.get(command.name)
    if states is None:
        return ""
    more = f"; [[ $current != *.* ]] || {snapshots}" if command.name in MAYBE_SNAPSHOTS else ""
    ask = f'words="$(_multipass_instances {_quoted("|".join(states)) if states else ""})"'
    if command.name == DIRECTORY:
        first = f'; [[ $current == -* || $previous != "$command" ]] || {_BASH_FILES}'
        return f"{first}; [[ $current == -* ]] || {ask}"
    if command.name in ONE_INSTANCE:
        after = f'; [[ $current == -* || $previous == "$command" ]] || {_BASH_FILES}'
        files = after if command.name in SECOND_FILE else ""
        return f'; [[ $current == -* || $previous != "$command" ]] || {ask}{files}'
    return f"; [[ $current == -* ]] || {ask}{more}"


# What stands behind a colon is a word of its own to bash.
_BASH_COLON = (
    '; [[ $current != : ]] || { current=\'\'; words=$(sed -n "s/^$previous://p" <<< "$words"); }'
    "; [[ $previous != : ]] || "
    'words=$(sed -n "s/^${COMP_WORDS[COMP_CWORD-2]}://p" <<< "$words")'
)
_BASH_FILES = (
    '{ compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return; }'
)


def zsh(table: Sequence[Command]) -> str:
    described = [
        f"        {_quoted(f'{name}:{command.summary}')}"
        for command in table
        for name in names_of(command)
    ]
    cases = []
    for command in table:
        specs = [_zsh_option(option) for option in options_of(command)]
        specs += _zsh_first_words(command, table) + _zsh_instances(command)
        cases.append(f"        {'|'.join(names_of(command))}) _arguments -S {' '.join(specs)} ;;")
    every = " ".join(_zsh_option(option) for option in GLOBAL_OPTIONS if not option.hidden)
    return "\n".join(
        [
            "#compdef multipass",
            NOTICE,
            "_multipass() {",
            "    local -a commands",
            "    commands=(",
            *described,
            "    )",
            "    local state line",
            f"    _arguments -C {every} '1:command:->command' '*::argument:->argument'",
            "    case $state in",
            "        command)",
            "            _describe command commands",
            f'            compadd -- ${{(f)"$({ASK_ALIASES})"}} ;;',
            "        argument) _multipass_arguments ;;",
            "    esac",
            "}",
            "# Names of instances, of all or of those in one of the states given.",
            "_multipass_instances() {",
            "    local -a found names",
            "    local line",
            f'    found=("${{(@f)$({ASK})}}")',
            "    for line in ${found[2,-1]}; do",
            "        (( $# && ! ${argv[(Ie)${${(s:,:)line}[2]}]} )) || names+=${line%%,*}",
            "    done",
            "    [[ -z $colon ]] || { compadd -S '' -- ${^names}$colon; return; }",
            "    compadd -a names",
            "}",
            "_multipass_arguments() {",
            "    case $words[1] in",
            *cases,
            "    esac",
            "}",
            '_multipass "$@"',
            "",
        ]
    )


def _zsh_first_words(command: Command, table: Sequence[Command]) -> list[str]:
    words = first_words(command, table)
    if not words:
        return []
    # A key is followed by its value at once.
    end, glue = ("=", "compadd -S ''") if words[0].endswith("=") else ("", "compadd")
    more = ""
    if command.name in KEYED:
        more = f'; [[ $PREFIX != local.* ]] || {glue} -- ${{^${{(f)"$({ASK_KEYS})"}}}}{end}'
    return [_quoted(f"1:word:{{{glue} -- {' '.join(words)}{more}}}")]


def _zsh_instances(command: Command) -> list[str]:
    snapshots = f'compadd -- ${{(f)"$({ASK_SNAPSHOTS})"}}'
    if command.name in SNAPSHOTS:
        return [_quoted(f"1:snapshot:{{{snapshots}}}")]
    if command.name in FIRST_FILE:
        return [_quoted("1:file:_files")]
    if command.name in ASKED:
        return [_quoted(f'*:name:{{compadd -- ${{(f)"$({ASKED[command.name]})"}}}}')]
    if command.name == SIDES:
        return [_quoted("*:file:{local colon=:; _multipass_instances Running; _files}")]
    if command.name not in INSTANCES:
        return []
    which = "1" if command.name in ONE_INSTANCE else "*"
    if command.name == DIRECTORY:
        states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
        return [
            _quoted("1:directory:_files -/"),
            _quoted(f"*:instance:{{_multipass_instances {states}}}"),
        ]
    states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
    more = f"; [[ $PREFIX != *.* ]] || {snapshots}" if command.name in MAYBE_SNAPSHOTS else ""
    files = [_quoted("2:file:_files")] if command.name in SECOND_FILE else []
    return [_quoted(f"{which}:instance:{{_multipass_instances {states}{more}}}"), *files]


def _zsh_option(option: Option) -> str:
    words = words_of(option)
    names = "{" + ",".join(words) + "}" if len(words) > 1 else words[0]
    equals = "=" if option.metavar and len(words) == 1 else ""  # or in a word of its own
    return names + equals + _quoted(f"[{_brief(option.text)}]{_zsh_value(option)}")


def _zsh_value(option: Option) -> str:
    if is_format(option):
        return f":format:({' '.join(FORMATS)})"
    if option.key == FILES:
        return ":file:_files"
    if option.key == NETWORKS:
        names = f'${{${{(f)"$({ASK_NETWORKS} | tail -n +2)"}}%%,*}}'
        return f":network:{{compadd -- {names}}}"
    return f":{option.metavar}:" if option.metavar else ""


def fish(table: Sequence[Command]) -> str:
    lines = [
        NOTICE,
        "# Names of instances, of all or of those in one of the states given.",
        "function __multipass_instances",
        f"    for line in ({ASK} | tail -n +2)",
        "        set -l cells (string split , -- $line)",
        "        if test (count $argv) -eq 0; or contains -- $cells[2] $argv",
        "            echo $cells[1]",
        "        end",
        "    end",
        "end",
        "complete -c multipass -f",
        "complete -c multipass -n __fish_use_subcommand "
        f"-a {_quoted(f'({ASK_ALIASES})')} -d 'alias'",
    ]
    for command in table:
        for name in names_of(command):
            lines.append(
                "complete -c multipass -n __fish_use_subcommand "
                f"-a {name} -d {_quoted(command.summary)}"
            )
        seen = " ".join(names_of(command))
        for option in options_of(command):
            flags = " ".join(f"-{'s' if len(n) == 1 else 'l'} {n}" for n in option.names)
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' {flags}"
                f"{_fish_value(option)} -d {_quoted(_brief(option.text))}"
            )
        if words := first_words(command, table):
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(' '.join(words))}"
            )
        if command.name in KEYED:
            end = "=" if command.name == "set" else ""
            keys = f"(string match -q 'local.*' -- (commandline -ct); and {ASK_KEYS}"
            keys += f" | string replace -r '$' '{end}')"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -a {_quoted(keys)}"
            )
        if command.name in (*SNAPSHOTS, *MAYBE_SNAPSHOTS):
            only = "" if command.name in SNAPSHOTS else _FISH_POINT
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(f'({only}{ASK_SNAPSHOTS})')} -d 'snapshot'"
            )
        if command.name in (*FIRST_FILE, *SECOND_FILE, DIRECTORY):
            lines.append(f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -F")
        if command.name in ASKED:
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(f'({ASKED[command.name]})')}"
            )
        if command.name == SIDES:
            sides = "(__multipass_instances Running | string replace -r '$' :)"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -F "
                f"-a {_quoted(sides)} -d 'instance'"
            )
        if command.name in INSTANCES:
            states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(f'(__multipass_instances {states})')} -d 'instance'"
            )
    return "\n".join([*lines, ""])


_FISH_POINT = "string match -q '*.*' -- (commandline -ct); and "


def _fish_value(option: Option) -> str:
    if is_format(option):
        return f" -x -a {_quoted(' '.join(FORMATS))}"
    if option.key == NETWORKS:
        return f" -x -a {_quoted(f'({ASK_NETWORKS} | tail -n +2 | string split -f1 ,)')}"
    if option.key == FILES:
        return " -r -F"
    return " -x" if option.metavar else ""


def _brief(text: str) -> str:
    """The first sentence, without characters that are special in shells."""
    return text.split(". ")[0].split("\n")[0].rstrip(".").replace("[", "(").replace("]", ")")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
