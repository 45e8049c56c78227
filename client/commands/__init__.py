"""The table of commands. Their modules are imported only when used: each import costs a start."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.command import Command

# Every word that is a command, and the module that declares it as COMMAND. A module must not be
# called as a function below: once imported, it would stand in the function's place.
MODULES = {
    "alias": "alias",
    "aliases": "aliases",
    "authenticate": "authenticate",
    "auth": "authenticate",
    "clients": "clients",
    "clone": "clone",
    "delete": "delete",
    "exec": "exec",
    "export": "export",
    "find": "find",
    "get": "get",
    "grant": "grant",
    "help": "help",
    "import": "import_",
    "info": "info",
    "invite": "invite",
    "launch": "launch",
    "list": "list",
    "ls": "list",
    "mount": "mount",
    "move": "move",
    "networks": "networks",
    "prefer": "prefer",
    "purge": "purge",
    "recover": "recover",
    "remote": "remote",
    "restart": "restart",
    "restore": "restore",
    "revoke": "revoke",
    "set": "set",
    "shell": "shell",
    "sh": "shell",
    "connect": "shell",
    "snapshot": "snapshot",
    "start": "start",
    "stop": "stop",
    "suspend": "suspend",
    "transfer": "transfer",
    "copy-files": "transfer",
    "umount": "umount",
    "unmount": "umount",
    "unalias": "unalias",
    "version": "version",
    "wait-ready": "wait_ready",
}


def lookup(word: str) -> Command | None:
    """The command that `word` names, by its main name or another one."""
    module = MODULES.get(word)
    if module is None:
        return None
    command: Command = __import__(f"client.commands.{module}", fromlist=["COMMAND"]).COMMAND
    return command


def every() -> list[Command]:
    """All commands, once each, by name."""
    commands = {command.name: command for word in MODULES if (command := lookup(word))}
    return [commands[name] for name in sorted(commands)]
