"""Completion for bash, zsh and fish, generated from the client's table of commands.

`python3 -m tools.completion DIRECTORY` writes one file for each shell. Only the names of instances
come from the service, asked in the way that never takes the first client's place.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from client import commands
from client.command import GLOBAL_OPTIONS, HELP, VERBOSE, Command, Option
from protocol import settings

FORMATS = ("table", "json", "csv", "yaml")
KEYS = tuple(sorted({*settings.CLIENT_KEYS, *settings.DAEMON_KEYS}))
# In what states an instance can be what a command is for; all of them where none is named.
INSTANCES: dict[str, tuple[str, ...]] = {
    "delete": (),
    "exec": ("Running", "Stopped", "Suspended"),
    "info": (),
    "recover": ("Deleted",),
    "restart": ("Running",),
    "shell": ("Running", "Stopped", "Suspended"),
    "start": ("Stopped", "Suspended"),
    "stop": ("Running", "Delayed Shutdown"),
    "suspend": ("Running",),
}
ONE_INSTANCE = ("exec", "shell")  # what follows it is not one
ASK = "MULTIPASS_NEVER_ENROL=1 multipass list --format csv --no-ipv4 2>/dev/null"
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


def names_of(command: Command) -> list[str]:
    return [command.name, *command.aliases]


def first_words(command: Command, table: Sequence[Command]) -> list[str]:
    """What a command's first argument can be; empty if nobody knows without asking the service."""
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
            f"{_bash_instances(command)} ;;"
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
            "    if [[ $previous == --format ]]; then",
            f"        mapfile -t COMPREPLY < <(compgen -W '{' '.join(FORMATS)}' -- \"$current\")",
            "        return",
            "    fi",
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            "        [[ $word == -* ]] || { command=$word; break; }",
            "    done",
            "    case $command in",
            f"        '') words='{every} -h --help -v --verbose' ;;",
            *cases,
            "        *) return ;;",
            "    esac",
            '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
            "    # A key is followed by its value at once.",
            "    [[ $command != set || ${COMPREPLY[0]-} != *= ]] || compopt -o nospace",
            "}",
            "complete -F _multipass multipass",
            "",
        ]
    )


def _bash_instances(command: Command) -> str:
    states = INSTANCES.get(command.name)
    if states is None:
        return ""
    ask = f'words="$(_multipass_instances {_quoted("|".join(states)) if states else ""})"'
    if command.name in ONE_INSTANCE:
        return f'; [[ $current == -* || $previous != "$command" ]] || {ask}'
    return f"; [[ $current == -* ]] || {ask}"


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
        cases.append(f"        {'|'.join(names_of(command))}) _arguments {' '.join(specs)} ;;")
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
            "        command) _describe command commands ;;",
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
    glue = "compadd -S ''" if words[0].endswith("=") else "compadd"
    return [_quoted(f"1:word:{{{glue} -- {' '.join(words)}}}")]


def _zsh_instances(command: Command) -> list[str]:
    if command.name not in INSTANCES:
        return []
    which = "1" if command.name in ONE_INSTANCE else "*"
    states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
    return [_quoted(f"{which}:instance:{{_multipass_instances {states}}}")]


def _zsh_option(option: Option) -> str:
    words = words_of(option)
    names = "{" + ",".join(words) + "}" if len(words) > 1 else words[0]
    values = (
        f":{option.metavar}:({' '.join(FORMATS)})"
        if option.metavar == "format"
        else (f":{option.metavar}:" if option.metavar else "")
    )
    return names + _quoted(f"[{_brief(option.text)}]{values}")


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
            values = (
                f" -x -a {_quoted(' '.join(FORMATS))}"
                if option.metavar == "format"
                else (" -x" if option.metavar else "")
            )
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' {flags}{values} "
                f"-d {_quoted(_brief(option.text))}"
            )
        if words := first_words(command, table):
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(' '.join(words))}"
            )
        if command.name in INSTANCES:
            states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {_quoted(f'(__multipass_instances {states})')} -d 'instance'"
            )
    return "\n".join([*lines, ""])


def _brief(text: str) -> str:
    """The first sentence, without what shells give a meaning."""
    return text.split(". ")[0].split("\n")[0].rstrip(".").replace("[", "(").replace("]", ")")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
