"""The completion file of bash."""

from __future__ import annotations

from collections.abc import Sequence

from client.command import Command
from tools.completion.words import (
    ASK,
    ASK_ALIASES,
    ASK_KEYS,
    ASK_MEMBERS,
    ASK_NETWORKS,
    ASK_SNAPSHOTS,
    ASKED,
    DIRECTORY,
    FILES,
    FIRST_FILE,
    FORMATS,
    INSTANCES,
    KEYED,
    MAYBE_SNAPSHOTS,
    MEMBERS,
    NETWORKS,
    NOTICE,
    ONE_INSTANCE,
    ROLES,
    SECOND_FILE,
    SECOND_MEMBER,
    SECOND_ROLE,
    SIDES,
    SNAPSHOTS,
    VALUES,
    first_words,
    is_format,
    is_role,
    names_of,
    options_of,
    quoted,
    words_of,
)


def text(table: Sequence[Command]) -> str:
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
            *(
                f"        set/{key}) {_bash_offer(quoted(' '.join(values)))}return ;;"
                for key, values in VALUES.items()
            ),
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
                offer = _bash_offer(quoted(" ".join(FORMATS)))
            elif is_role(option):
                offer = _bash_offer(quoted(" ".join(ROLES)))
            elif option.key == NETWORKS:
                offer = _bash_offer(f'"$({ASK_NETWORKS} | tail -n +2 | cut -d, -f1)"')
            elif option.key == MEMBERS:
                offer = _bash_offer(f'"$({ASK_MEMBERS})"')
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
        if command.name == SECOND_ROLE:
            ask += f'; [[ $current == -* || $previous == "$command" ]] || words="{" ".join(ROLES)}"'
        return ask + (_BASH_COLON if command.name == "umount" else "")
    if command.name == SIDES:
        sides = 'words="$(_multipass_instances Running)"; words=${words// /: }'
        return f"; [[ $current == -* ]] || {{ {sides}; }}"
    states = INSTANCES.get(command.name)
    if states is None:
        return ""
    more = f"; [[ $current != *.* ]] || {snapshots}" if command.name in MAYBE_SNAPSHOTS else ""
    ask = f'words="$(_multipass_instances {quoted("|".join(states)) if states else ""})"'
    if command.name == DIRECTORY:
        first = f'; [[ $current == -* || $previous != "$command" ]] || {_BASH_FILES}'
        return f"{first}; [[ $current == -* ]] || {ask}"
    if command.name in ONE_INSTANCE:
        after = f'; [[ $current == -* || $previous == "$command" ]] || {_BASH_FILES}'
        more = after if command.name in SECOND_FILE else ""
        if command.name == SECOND_MEMBER:
            more = f'; [[ $current == -* || $previous == "$command" ]] || words="$({ASK_MEMBERS})"'
        return f'; [[ $current == -* || $previous != "$command" ]] || {ask}{more}'
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
