"""All aliases of a user, by context and name; their form in the file. Pure."""

from __future__ import annotations

from client import alias_messages
from client.errors import UsageError
from client.render import json as rendering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

DEFAULT = "default"  # the context that is there from the beginning, and a working directory
MAP = "map"
ACTIVE, CONTEXTS = "active-context", "contexts"
INSTANCE, COMMAND, DIRECTORY = "instance", "command", "working-directory"


class NotAliases(Exception):
    """The text is not what an alias file has."""


class Alias:
    """A command in an instance; `directory` is MAP or DEFAULT, as for `exec`."""

    __slots__ = ("command", "directory", "instance")

    def __init__(self, instance: str, command: str, directory: str = DEFAULT) -> None:
        self.instance = instance
        self.command = command
        self.directory = directory


class Aliases:
    """Contexts, one of them active."""

    def __init__(self) -> None:
        self.active = DEFAULT
        self.contexts: dict[str, dict[str, Alias]] = {DEFAULT: {}}

    # -- looking up -------------------------------------------------------------------------------

    def every(self) -> Iterator[tuple[str, str, Alias]]:
        """Context, name and alias, in the order of listings."""
        for context in sorted(self.contexts):
            for name in sorted(self.contexts[context]):
                yield context, name, self.contexts[context][name]

    def find(self, word: str) -> Alias | None:
        """What `multipass <word>` runs: of the active context, else the only one of that name, else
        `<context>.<name>`."""
        if (found := self.contexts[self.active].get(word)) is not None:
            return found
        same = [alias for _, name, alias in self.every() if name == word]
        if len(same) == 1:
            return same[0]
        context, _, name = word.partition(".")
        return self.contexts.get(context, {}).get(name)

    def place(self, word: str) -> tuple[str, str] | None:
        """Context and name of an alias that is to be removed: of the active context, or
        `<context>.<name>`."""
        if word in self.contexts[self.active]:
            return self.active, word
        for at in reversed(range(len(word))):  # both may have dots; the last one counts first
            context, name = word[:at], word[at + 1 :]
            if word[at] == "." and name in self.contexts.get(context, {}):
                return context, name
        return None

    def script_names(self) -> set[str]:
        """The names of scripts: `<context>.<name>`, and `<name>` where it is the only one."""
        counts: dict[str, int] = {}
        for _, name, _ in self.every():
            counts[name] = counts.get(name, 0) + 1
        only = {name for name, count in counts.items() if count == 1}
        return only | {f"{context}.{name}" for context, name, _ in self.every()}

    # -- changing ---------------------------------------------------------------------------------

    def prefer(self, context: str) -> None:
        """Make a context the active one; it is made if it is not there."""
        self.active = context
        self.contexts.setdefault(context, {})

    def add(self, name: str, alias: Alias) -> None:
        self.contexts[self.active][name] = alias

    def remove(self, context: str, name: str) -> None:
        del self.contexts[context][name]

    def forget_instance(self, instance: str) -> None:
        """Remove its aliases, and the context of its name."""
        self.contexts.pop(instance, None)
        if self.active == instance:
            self.active = DEFAULT
        self.contexts.setdefault(self.active, {})
        for aliases in self.contexts.values():
            for name in [name for name, alias in aliases.items() if alias.instance == instance]:
                del aliases[name]

    def rename_instance(self, old: str, new: str) -> None:
        """Its aliases and the context of its name become those of `new`."""
        for _, _, alias in self.every():
            if alias.instance == old:
                alias.instance = new
        if old != DEFAULT and old in self.contexts and new not in self.contexts:
            self.contexts[new] = self.contexts.pop(old)
            if self.active == old:
                self.active = new

    # -- as a document ----------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        return {ACTIVE: self.active, CONTEXTS: {
            context: {name: {INSTANCE: alias.instance, COMMAND: alias.command,
                             DIRECTORY: alias.directory} for name, alias in aliases.items()}
            for context, aliases in self.contexts.items()
        }}  # fmt: skip

    def text(self) -> str:
        """What the file has: empty contexts are left out, but for the active one."""
        kept = Aliases()
        kept.active = self.active
        kept.contexts = {
            context: aliases
            for context, aliases in self.contexts.items()
            if aliases or context == self.active
        }
        return rendering.render(kept.document())


def parse(text: str) -> Aliases:
    """Raises NotAliases; UsageError for a working directory that is none."""
    found = Aliases()
    if not text.strip():
        return found
    document = _document(text)
    if ACTIVE not in document:  # the form before there were contexts
        found.contexts[DEFAULT] = _context(document)
        return found
    contexts = document.get(CONTEXTS)
    if not isinstance(document[ACTIVE], str) or not isinstance(contexts, dict):
        raise NotAliases
    found.contexts = {name: _context(aliases) for name, aliases in contexts.items()}
    found.prefer(document[ACTIVE])
    return found


def _document(text: str) -> dict[str, Any]:
    import json  # takes 4 ms

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAliases from error
    if not isinstance(document, dict):
        raise NotAliases
    return document


def _context(aliases: object) -> dict[str, Alias]:
    if not isinstance(aliases, dict):
        raise NotAliases
    return {name: _alias(record) for name, record in aliases.items()}


def _alias(record: object) -> Alias:
    if not isinstance(record, dict):
        raise NotAliases
    values = [record.get(INSTANCE), record.get(COMMAND), record.get(DIRECTORY, DEFAULT)]
    if not all(isinstance(value, str) for value in values):
        raise NotAliases
    if values[2] not in (MAP, DEFAULT):
        raise UsageError(alias_messages.bad_directory(str(values[2])))
    return Alias(*map(str, values))
