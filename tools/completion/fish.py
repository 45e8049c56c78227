"""The completion file of fish."""

from __future__ import annotations

from collections.abc import Sequence

from client.arguments.commandline import Option
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
)


def text(table: Sequence[Command]) -> str:
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
        f"-a {quoted(f'({ASK_ALIASES})')} -d 'alias'",
    ]
    for command in table:
        for name in names_of(command):
            lines.append(
                "complete -c multipass -n __fish_use_subcommand "
                f"-a {name} -d {quoted(SUMMARIES[command.name])}"
            )
        seen = " ".join(names_of(command))
        for option in options_of(command):
            flags = " ".join(f"-{'s' if len(n) == 1 else 'l'} {n}" for n in option.names)
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' {flags}"
                f"{_fish_value(option)} -d {quoted(brief(option.text))}"
            )
        if words := first_words(command, table):
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {quoted(' '.join(words))}"
            )
        if command.name in KEYED:
            end = "=" if command.name == "set" else ""
            keys = f"(string match -q 'local.*' -- (commandline -ct); and {ASK_KEYS}"
            keys += f" | string replace -r '$' '{end}')"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -a {quoted(keys)}"
            )
        if command.name == "set":
            values = " ".join(f"{key}={each}" for key in VALUES for each in VALUES[key])
            offer = f"(string match -q '*=*' -- (commandline -ct); and string join \\n {values})"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -a {quoted(offer)}"
            )
        if command.name in (*SNAPSHOTS, *MAYBE_SNAPSHOTS):
            only = "" if command.name in SNAPSHOTS else _FISH_POINT
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' "
                f"-a {quoted(f'({only}{ASK_SNAPSHOTS})')} -d 'snapshot'"
            )
        if command.name in (*FIRST_FILE, *SECOND_FILE, DIRECTORY):
            lines.append(f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -F")
        first = ""
        if command.name == SECOND_ROLE:
            first = f"; and {_FISH_WORDS} -le 2"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}; and "
                f"{_FISH_WORDS} -gt 2' -a {quoted(' '.join(ROLES))} -d 'role'"
            )
        if command.name == SECOND_MEMBER:
            first = f"; and {_FISH_WORDS} -le 2"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}; and "
                f"{_FISH_WORDS} -gt 2' -a {quoted(f'({ASK_MEMBERS})')} -d 'host'"
            )
        if command.name in ASKED:
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}{first}' "
                f"-a {quoted(f'({ASKED[command.name]})')}"
            )
        if command.name == SIDES:
            sides = "(__multipass_instances Running | string replace -r '$' :)"
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}' -F "
                f"-a {quoted(sides)} -d 'instance'"
            )
        if command.name in INSTANCES:
            states = " ".join(f'"{state}"' for state in INSTANCES[command.name])
            lines.append(
                f"complete -c multipass -n '__fish_seen_subcommand_from {seen}{first}' "
                f"-a {quoted(f'(__multipass_instances {states})')} -d 'instance'"
            )
    return "\n".join([*lines, ""])


# How many words there are before the one at the cursor, `multipass` among them.
_FISH_WORDS = "test (count (commandline -opc))"
_FISH_POINT = "string match -q '*.*' -- (commandline -ct); and "


def _fish_value(option: Option) -> str:
    if is_format(option):
        return f" -x -a {quoted(' '.join(FORMATS))}"
    if is_role(option):
        return f" -x -a {quoted(' '.join(ROLES))}"
    if option.key == NETWORKS:
        return f" -x -a {quoted(f'({ASK_NETWORKS} | tail -n +2 | string split -f1 ,)')}"
    if option.key == MEMBERS:
        return f" -x -a {quoted(f'({ASK_MEMBERS})')}"
    if option.key == FILES:
        return " -r -F"
    return " -x" if option.metavar else ""
