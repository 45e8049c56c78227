"""User-visible messages about aliases. Texts of 1.16 to the letter, where it has one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG_NUMBER = "Wrong number of arguments given"
NO_COMMAND = "No command given"
NO_INSTANCE = "No instance name given"
NOT_A_FILENAME = "Alias has to be a valid filename"
NO_INSTANCES_LIST = "Error retrieving list of instances"
NEEDS_CONTEXT = "The prefer command needs an argument"
NONE_DEFINED = "No aliases defined."
OPTIONS = (
    'Options to the alias should come after "--", like this:\nmultipass <alias> -- <arguments>'
)


def does_not_exist(instance: str) -> str:
    return f"Instance '{instance}' does not exist"


def exists(alias: str) -> str:
    return f"Alias '{alias}' already exists in current context"


def clashes(alias: str) -> str:
    return f"Alias name '{alias}' clashes with a command name"


def no_script(why: str) -> str:
    return f"Error when creating script for alias: {why}"


def script_left(why: str, context: str, alias: str) -> str:
    return f"Warning: '{why}' when removing alias script for {context}.{alias}"


def nonexistent(aliases: Sequence[str]) -> str:
    if len(aliases) == 1:
        return f"Nonexistent alias: {aliases[0]}."
    return f"Nonexistent aliases: {', '.join(aliases)}."


def add_to_path(directory: str) -> str:
    return (
        "You'll need to add this to your shell configuration (.bashrc, .zshrc or so) for\n"
        "aliases to work without prefixing with `multipass`:\n\n"
        f'PATH="$PATH:{directory}"'
    )


# -- texts that 1.16 has not ----------------------------------------------------------------------

NOT_OURS = "a file of that name, which is no script of an alias, is there"


def stale(alias: str, instance: str) -> str:
    return (
        f"The alias '{alias}' runs in the instance '{instance}', which is not there any more. "
        f"`multipass unalias {alias}` removes it."
    )


def bad_directory(value: str) -> str:
    return f"The alias file has an unknown working-directory: '{value}'"


def unreadable(path: str, why: str) -> str:
    return f"Cannot read the aliases in {path}: {why}"


def unwritable(path: str, why: str) -> str:
    return f"Cannot keep the aliases in {path}: {why}"


def damaged(path: str) -> str:
    return f"Warning: {path} can't be read as aliases, so there are none."


def kept_aside(path: str) -> str:
    return f"Warning: the damaged alias file was kept as {path}."
