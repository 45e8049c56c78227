"""The alias file and the scripts that belong to it: read, and changed under a lock.

A file that can't be parsed counts as empty, as in Multipass 1.16; before it is replaced it is kept
beside the new one.
"""

from __future__ import annotations

import os

from client import alias_messages, files
from client.aliases import scripts, table
from client.aliases.table import Aliases, NotAliases
from client.errors import ClientError, UsageError
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from client.session import Session

DAMAGED = ".damaged"  # added to the name of a file that can't be parsed


class AliasFileError(ClientError):
    """The alias file can't be read or written."""

    exit_code = 2


def read(session: Session) -> Aliases:
    """Raises AliasFileError, UsageError."""
    path = session.alias_file()
    try:
        return table.parse(_load(path))
    except NotAliases:
        console.line_err(alias_messages.damaged(path))
        return Aliases()


def change(session: Session, edit: Callable[[Aliases], None]) -> bool:
    """Change the aliases, and the scripts accordingly; what `edit` raises leaves all as it was.

    Returns whether there are aliases now and were none before. Raises AliasFileError, UsageError.
    """
    path = session.alias_file()
    try:
        with files.Locked(path):
            aliases, damaged = _parsed(path)
            before = aliases.script_names()
            old_text = aliases.text()
            places = [(context, name) for context, name, _ in aliases.every()]
            edit(aliases)
            wanted = aliases.script_names()
            if wanted - before:
                _make_scripts(session, wanted - before)
            if aliases.text() != old_text:
                try:
                    if damaged:
                        _keep_aside(path)
                    files.replace(path, aliases.text())
                except OSError:
                    _take_back(session, wanted - before)
                    raise
            _remove_scripts(session, before - wanted, places)
    except OSError as error:
        raise AliasFileError(alias_messages.unwritable(path, _why(error))) from error
    return bool(wanted) and not before


def forget_instances(session: Session, names: Sequence[str]) -> None:
    """Remove the aliases of purged instances. Prints errors instead of raising them.

    An alias names no service: one that was meant for this machine's must survive a remote's purge.
    """
    if names and not session.remote and os.path.exists(session.alias_file()):
        _tolerantly(session, lambda aliases: [*map(aliases.forget_instance, names)])


def rename_instance(session: Session, old: str, new: str) -> None:
    """Move the aliases of a renamed instance, unless it is a remote's. Prints errors instead of
    raising them."""
    if not session.remote and os.path.exists(session.alias_file()):
        _tolerantly(session, lambda aliases: aliases.rename_instance(old, new))


def _tolerantly(session: Session, edit: Callable[[Aliases], object]) -> None:
    def changed(aliases: Aliases) -> None:
        edit(aliases)

    try:
        change(session, changed)
    except ClientError as error:
        console.line_err(error.text(""))


def _parsed(path: str) -> tuple[Aliases, bool]:
    """The aliases, and whether the file is damaged."""
    try:
        return table.parse(_load(path)), False
    except NotAliases:
        console.line_err(alias_messages.damaged(path))
        return Aliases(), True


def _load(path: str) -> str:
    try:
        return files.load(path)
    except OSError as error:
        raise AliasFileError(alias_messages.unreadable(path, _why(error))) from error


def _keep_aside(path: str) -> None:
    """Under a name that is free. Raises OSError."""
    kept, number = path + DAMAGED, 1
    while os.path.lexists(kept):
        number += 1
        kept = f"{path}{DAMAGED}.{number}"
    os.link(path, kept)
    console.line_err(alias_messages.kept_aside(kept))


def _make_scripts(session: Session, names: set[str]) -> None:
    """All or none. Raises UsageError."""
    runs = session.alias_script_runs() or scripts.this_program()
    made = []
    try:
        for name in sorted(names):
            if scripts.make(session.alias_scripts(), name, runs):
                made.append(name)
    except (OSError, scripts.NotOurs) as error:
        for name in made:
            scripts.remove(session.alias_scripts(), name)
        why = alias_messages.NOT_OURS if isinstance(error, scripts.NotOurs) else _why(error)
        raise UsageError(alias_messages.no_script(why)) from error


def _take_back(session: Session, names: set[str]) -> None:
    """Remove scripts of aliases that could not be kept. Never fails."""
    for name in names:
        try:
            scripts.remove(session.alias_scripts(), name)
        except OSError:
            pass


def _remove_scripts(session: Session, names: set[str], places: Sequence[tuple[str, str]]) -> None:
    """`places`: contexts and names of the aliases that there were."""
    for name in sorted(names):
        try:
            scripts.remove(session.alias_scripts(), name)
        except OSError as error:
            of = next(place for place in places if name in (place[1], ".".join(place)))
            console.line_err(alias_messages.script_left(_why(error), *of))


def _why(error: OSError) -> str:
    return error.strerror or str(error)
