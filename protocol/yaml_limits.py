"""YAML that costs far more than it is long: a kilobyte of merge keys (`<<`) can stand for
gigabytes, and long numbers take minutes to read. Plain aliases only point. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Node = Any  # PyYAML's, which is not loaded before it is needed

MERGE = "tag:yaml.org,2002:merge"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MAX_COPIES = 100_000  # pairs of a key and its value: less than a second's work
MAX_NUMBER = 1000  # characters; base sixty takes the square of their number


class Excessive(ValueError):
    """The text is a sentence's end."""


def refuse_excessive(root: Node) -> None:
    """Before anything is made of it. Raises Excessive."""
    counter = _Counter()
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.id == "scalar":
            if node.tag in NUMBERS and len(node.value) > MAX_NUMBER:
                raise Excessive(f"it has a number of more than {MAX_NUMBER} digits.")
            continue
        if node.id == "mapping":
            counter.size(node)
            todo += [each for pair in node.value for each in pair]
        else:
            todo += node.value


class _Counter:
    def __init__(self) -> None:
        self._copies = 0
        self._sizes: dict[int, int] = {}  # pairs of each mapping, with those that it copies

    def size(self, node: Node) -> int:
        if id(node) in self._sizes:
            return self._sizes[id(node)]
        self._sizes[id(node)] = MAX_COPIES + 1  # for one that copies itself
        size: int = sum(key.tag != MERGE for key, _ in node.value)
        for key, value in node.value:
            if key.tag == MERGE:
                size += self._copied(value)
        self._sizes[id(node)] = size
        return size

    def _copied(self, value: Node) -> int:
        sources = value.value if value.id == "sequence" else [value]
        count: int = sum(self.size(source) for source in sources if source.id == "mapping")
        self._copies += count
        if self._copies > MAX_COPIES:
            raise Excessive("its merge keys (<<) copy too much.")
        return count
