"""The completion file of zsh."""

from __future__ import annotations

from collections.abc import Sequence

from client.arguments.commandline import GLOBAL_OPTIONS, Option
from client.command import Command
from client.commands.summaries import SUMMARIES
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
    brief,
    first_words,
    is_format,
    is_role,
    names_of,
    options_of,
    quoted,
    words_of,
)


def text(table: Sequence[Command]) -> str:
    described = [
        f"        {quoted(f'{name}:{SUMMARIES[command.name]}')}"
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
        if command.name == "set":
            values = " ".join(f"{key}={each}" for key in VALUES for each in VALUES[key])
            more = f"; [[ $PREFIX != *=* ]] || compadd -- {values}"
        more += f'; [[ $PREFIX != local.* ]] || {glue} -- ${{^${{(f)"$({ASK_KEYS})"}}}}{end}'
    return [quoted(f"1:word:{{{glue} -- {' '.join(words)}{more}}}")]


def _zsh_instances(command: Command) -> list[str]:
    snapshots = f'compadd -- ${{(f)"$({ASK_SNAPSHOTS})"}}'
    if command.name in SNAPSHOTS:
        return [quoted(f"1:snapshot:{{{snapshots}}}")]
    if command.name in FIRST_FILE:
        return [quoted("1:file:_files")]
    if command.name == SECOND_ROLE:
        names = f'1:name:{{compadd -- ${{(f)"$({ASKED[command.name]})"}}}}'
        return [quoted(names), quoted(f"2:role:({' '.join(ROLES)})")]
    if command.name in ASKED:
        return [quoted(f'*:name:{{compadd -- ${{(f)"$({ASKED[command.name]})"}}}}')]
    if command.name == SIDES:
        return [quoted("*:file:{local colon=:; _multipass_instances Running; _files}")]
    if command.name not in INSTANCES:
        return []
    which = "1" if command.name in ONE_INSTANCE else "*"
    if command.name == DIRECTORY:
        states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
        return [
            quoted("1:directory:_files -/"),
            quoted(f"*:instance:{{_multipass_instances {states}}}"),
        ]
    states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
    more = f"; [[ $PREFIX != *.* ]] || {snapshots}" if command.name in MAYBE_SNAPSHOTS else ""
    second = [quoted("2:file:_files")] if command.name in SECOND_FILE else []
    if command.name == SECOND_MEMBER:
        second = [quoted(f'2:member:{{compadd -- ${{(f)"$({ASK_MEMBERS})"}}}}')]
    return [quoted(f"{which}:instance:{{_multipass_instances {states}{more}}}"), *second]


def _zsh_option(option: Option) -> str:
    words = words_of(option)
    names = "{" + ",".join(words) + "}" if len(words) > 1 else words[0]
    equals = "=" if option.metavar and len(words) == 1 else ""  # or in a word of its own
    return names + equals + quoted(f"[{brief(option.text)}]{_zsh_value(option)}")


def _zsh_value(option: Option) -> str:
    if is_format(option):
        return f":format:({' '.join(FORMATS)})"
    if is_role(option):
        return f":role:({' '.join(ROLES)})"
    if option.key == FILES:
        return ":file:_files"
    if option.key == NETWORKS:
        names = f'${{${{(f)"$({ASK_NETWORKS} | tail -n +2)"}}%%,*}}'
        return f":network:{{compadd -- {names}}}"
    if option.key == MEMBERS:
        return f':member:{{compadd -- ${{(f)"$({ASK_MEMBERS})"}}}}'
    return f":{option.metavar}:" if option.metavar else ""
