"""The texts of help: the documented one exactly, the others by the rules of their layout."""

from __future__ import annotations

import re

import pytest

from client import commands, help
from client.arguments.commandline import Option
from client.command import Argument, Command
from client.commands.summaries import SUMMARIES

DOCUMENTED = """\
Usage: multipass authenticate [options] [<passphrase>]
Authenticate with the Multipass service.
A system administrator should provide you with a passphrase
to allow use of the Multipass service.

Options:
  -h, --help     Display this help
  -v, --verbose  Increase logging verbosity. Repeat the 'v' in the short option
                 for more detail. Maximum verbosity is obtained with 4 (or more)
                 v's, i.e. -vvvv.

Arguments:
  passphrase     Passphrase to register with the Multipass service. If omitted,
                 a prompt will be displayed for entering the passphrase.
"""

ONE_LINERS = {
    "alias": "Create an alias",
    "aliases": "List available aliases",
    "authenticate": "Authenticate client",
    "clients": "List trusted clients and invitations",
    "clone": "Clone an instance",
    "delete": "Delete instances and snapshots",
    "exec": "Run a command on an instance",
    "export": "Export an instance to a file",
    "find": "Display available images to create instances from",
    "get": "Get a configuration setting",
    "grant": "Give a person's clients another role",
    "help": "Display help about a command",
    "import": "Make an instance of an exported file",
    "info": "Display information about instances or snapshots",
    "invite": "Invite a person to use the service",
    "launch": "Create and start an Ubuntu instance",
    "list": "List all available instances or snapshots",
    "mount": "Mount a local directory in the instance",
    "move": "Move an instance to another host of a cluster",
    "networks": "List available network interfaces",
    "prefer": "Switch the current alias context",
    "purge": "Purge all deleted instances permanently",
    "recover": "Recover deleted instances",
    "remote": "Keep services on other machines",
    "restart": "Restart instances",
    "restore": "Restore an instance from a snapshot",
    "revoke": "Trust a person's clients no longer",
    "set": "Set a configuration setting",
    "shell": "Open a shell on an instance",
    "snapshot": "Take a snapshot of an instance",
    "start": "Start instances",
    "stop": "Stop running instances",
    "suspend": "Suspend running instances",
    "transfer": "Transfer files between the host and instances",
    "umount": "Unmount a directory from an instance",
    "unalias": "Remove aliases",
    "version": "Show version details",
    "wait-ready": "Wait for the Multipass daemon to be ready",
}

# What stands behind `[options]`, with a primary instance and without.
USAGE = {
    "alias": "<definition> [<name>]",
    "authenticate": "[<passphrase>]",
    "clone": "<source_name>",
    "delete": "<instance>[.snapshot] [<instance>[.snapshot] ...]",
    "exec": "<name> [--] <command>",
    "export": "<name> <file>",
    "find": "[<remote:>][<string>]",
    "get": "[<arg>]",
    "help": "<command>",
    "import": "<file>",
    "info": "<instance>[.snapshot] [<instance>[.snapshot] ...]",
    "launch": "[[<remote:>]<image> | <url>]",
    "move": "<name> <member>",
    "prefer": "<name>",
    "recover": "<name> [<name> ...]",
    "restart": "[<name> ...]",
    "restore": "<instance>.<snapshot>",
    "set": "<key>[=<value>]",
    "shell": "[<name>]",
    "snapshot": "instance",
    "start": "[<name> ...]",
    "stop": "[<name> ...]",
    "suspend": "[<name> ...]",
    "transfer": "<source> [<source> ...] <destination>",
    "unalias": "<name> [<name> ...]",
}
USAGE_WITHOUT_PRIMARY = USAGE | {
    "restart": "<name> [<name> ...]",
    "shell": "<name>",
    "start": "<name> [<name> ...]",
    "stop": "<name> [<name> ...]",
    "suspend": "<name> [<name> ...]",
}


def of(name: str) -> str:
    command = commands.lookup(name)
    assert command is not None
    return help.of_command(command)


def test_help_of_authenticate_is_the_documented_text() -> None:
    assert of("authenticate") == DOCUMENTED


def test_general_help_lists_every_command_in_the_form_that_scripts_search() -> None:
    text = help.general()
    assert text.startswith("Usage: multipass [options] <command>\n")
    rows = dict(re.findall(r"^ {2}([\-\w]+)\s+(.+?)$", text, re.MULTILINE))
    assert {name: rows.get(name) for name in ONE_LINERS} == ONE_LINERS
    listed = text.partition("Available commands:\n")[2].splitlines()
    assert listed == [f"  {name:<12}  {line}" for name, line in sorted(ONE_LINERS.items())]


@pytest.mark.parametrize("name", sorted(ONE_LINERS))
def test_no_line_is_wider_than_a_terminal(name: str) -> None:
    _usage, *lines = of(name).splitlines()  # how long the usage is, 1.16 has decided
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", sorted(USAGE))
def test_the_usage_says_what_arguments_there_are(name: str) -> None:
    command = commands.lookup(name)
    assert command is not None
    for primary, syntaxes in ((True, USAGE), (False, USAGE_WITHOUT_PRIMARY)):
        if primary or command.syntax_without_primary:
            first = help.of_command(command, primary).splitlines()[0]
            assert first == f"Usage: multipass {name} [options] {syntaxes[name]}"
    assert bool(command.syntax_without_primary) == (USAGE[name] != USAGE_WITHOUT_PRIMARY[name])


@pytest.mark.parametrize("name", ["list", "networks", "purge", "version", "wait-ready"])
def test_commands_without_arguments_have_no_arguments_section(name: str) -> None:
    assert of(name).startswith(f"Usage: multipass {name} [options]\n")
    assert "Arguments:" not in of(name)


@pytest.mark.parametrize("name", ["get", "set"])
def test_help_of_settings_names_some_keys_and_how_to_list_all(name: str) -> None:
    for key in ("client.primary-name", "local.driver", "local.privileged-mounts"):
        assert f"  - {key}\n" in of(name)
    assert "multipass get --keys" in of(name)


def test_hidden_options_are_left_out() -> None:
    assert "no-ipv4" not in of("list")
    assert "--version" not in of("list")
    assert "--mem " not in of("launch")
    assert "--all" not in of("info")
    assert "runtime" not in of("info")


def test_a_value_that_is_one_thing_or_another_is_shown_so() -> None:
    assert "\n  --cloud-init <file> | <url>  " in of("launch")
    assert "\n  --mount <source>:<target>  " in of("launch")
    assert "\n  -g, --gid-map <host>:<instance>  " in of("mount")


def test_the_table_of_commands_agrees_with_their_declarations() -> None:
    declared = {
        word: command.name
        for command in commands.every()
        for word in (command.name, *command.aliases)
    }
    assert set(declared) == set(commands.MODULES)
    assert set(declared.values()) == set(SUMMARIES)
    for word, name in declared.items():
        command = commands.lookup(word)
        assert command is not None
        assert command.name == name


def test_entries_are_wrapped_broken_and_cut() -> None:
    command = Command(
        "x",
        "",
        lambda _: 0,
        options=[Option(("o", "option"), "first\nsecond " + "w" * 70, "value")],
        arguments=[Argument("name", "short")],
    )
    column = " " * len("  -o, --option <value>  ")
    assert help.of_command(command).splitlines()[-7:] == [
        "  -o, --option <value>  first",
        f"{column}second",
        f"{column}{'w' * 56}",
        f"{column}{'w' * 14}",
        "",
        "Arguments:",
        "  name                  short",
    ]


@pytest.mark.parametrize("primary", [True, False])
def test_no_line_but_a_usage_is_wider_than_a_terminal(primary: bool) -> None:
    texts = [help.general()]
    texts += [help.of_command(command, primary) for command in commands.every()]
    lines = [line for text in texts for line in text.splitlines()]
    assert [line for line in lines if len(line) > 80 and not line.startswith("Usage:")] == []
