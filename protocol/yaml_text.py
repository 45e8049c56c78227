"""Parse untrusted YAML into plain values; every fault becomes one error with a message. Pure.

PyYAML passes on any exception of its constructors (`!!int ""`: IndexError), accepts equal keys and
uses the last one, and expands a kilobyte of aliases or merge keys to gigabytes.
"""

from __future__ import annotations

from protocol.yaml_limits import Excessive, refuse_excessive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Node = Any  # PyYAML's, which is not loaded before it is needed

MERGE = "tag:yaml.org,2002:merge"
MAX_SHOWN = 60  # characters of a key or a tag


class Unreadable(ValueError):
    """The text is a sentence's end, without the value: it may be a secret."""


def load(text: str) -> Any:
    """What the one document says; None for none. Raises Unreadable; ImportError without PyYAML."""
    import yaml  # 13 ms of a start that only a launch needs

    # A class of its own, as where it stood is known only while the loader constructs.
    class Loader(yaml.SafeLoader):
        last: Node = None

        def construct_object(self, node: Node, deep: bool = False) -> Any:
            self.last = node
            return super().construct_object(node, deep=deep)

    loader = None
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        refuse_excessive(node)
        _refuse_duplicates(node)
        return loader.construct_document(node)
    except (Unreadable, Excessive) as error:
        raise Unreadable(str(error)) from None
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_marked(error)) from None
    except (yaml.YAMLError, UnicodeError):
        raise Unreadable("it is no valid YAML: it has characters that are not text.") from None
    except RecursionError:
        raise Unreadable("it is no valid YAML: it is nested too deeply.") from None
    except Exception:  # of PyYAML's constructors: any
        raise Unreadable(_unfit(loader.last if loader else None)) from None
    finally:
        if loader is not None:
            loader.dispose()


def _marked(error: Any) -> str:
    problem = error.problem or error.context or "it can't be read"
    mark = error.problem_mark or error.context_mark
    place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"it is no valid YAML: {problem}{place}."


def _unfit(node: Node) -> str:
    """A value that its tag does not fit, as `!!int ""`."""
    if node is None:
        return "it is no valid YAML."
    tag = "!!" + node.tag.removeprefix("tag:yaml.org,2002:")
    mark = node.start_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}"
    return f"it is no valid YAML: the value in {place} is no {tag[:MAX_SHOWN]}."


def _refuse_duplicates(root: Node) -> None:
    """Keys beside each other; one that a merge key brings may be said again. Raises Unreadable."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen or node.id == "scalar":
            continue
        seen.add(id(node))
        if node.id == "sequence":
            todo += node.value
            continue
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            todo += (key, value)
            if key.id != "scalar" or key.tag == MERGE:
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise Unreadable(
                    f"the key `{key.value[:MAX_SHOWN]}` is there twice, in line {lines[name]} and "
                    f"line {line}, and only one of them would count."
                )
            lines[name] = line
