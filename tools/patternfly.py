"""Write cockpit/vendor/patternfly/patternfly.css: of PatternFly's styles what the page uses.

    npm pack @patternfly/patternfly@VERSION && tar xf patternfly-patternfly-*.tgz
    .venv/bin/python -m tools.patternfly package

A package may not fetch anything while it is built, so the result is kept in the repository; a test
holds that it has every class of PatternFly that the page names. Kept are the rules of whose classes
the page names all, and of the variables those that the kept rules refer to.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "cockpit"
TARGET = PAGE / "vendor/patternfly/patternfly.css"
COMPONENTS = (
    "Alert/alert", "Button/button", "Card/card", "EmptyState/empty-state", "Form/form",
    "FormControl/form-control", "HelperText/helper-text", "Label/label", "ModalBox/modal-box",
    "Progress/progress", "Skeleton/skeleton", "Spinner/spinner", "Table/table", "Table/table-grid",
    "Tabs/tabs",
    "Title/title",
)  # fmt: skip
THEMES = {"pf-v6-theme-dark"}  # set on the root element, by theme.js
CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
NAMED = re.compile(r"\bpf-[a-z0-9_-]+\b")
NEGATED = re.compile(r":not\((?:[^()]|\([^()]*\))*\)")
VARIABLE = re.compile(r"var\(\s*(--[\w-]+)")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass
class Rule:
    """A rule or, with rules inside, an at-rule."""

    head: str
    declarations: list[str]
    inside: list[Rule]


def main(words: Sequence[str]) -> int:
    package = Path(words[0])
    version = json.loads((package / "package.json").read_text())["version"]
    used = named() | THEMES
    sheets = [package / "base/patternfly-variables.css"]
    sheets += [package / f"components/{name}.css" for name in COMPONENTS]
    rules = [each for sheet in sheets for each in kept(parse(sheet.read_text()), used)]
    prune(rules, own_variables())
    text = "".join(line for rule in rules for line in lines(rule))
    head = (
        f"/* PatternFly {version}, https://www.patternfly.org, MIT: see LICENSE.\n"
        "   Made by tools/patternfly.py: only what this page uses. */\n"
    )
    TARGET.write_text(head + text)
    print(f"{TARGET}: {len(text)} bytes, {len(rules)} rules")
    return 0


def sources() -> Iterator[Path]:
    for pattern in ("*.html", "*.css", "**/*.js"):
        yield from (each for each in PAGE.glob(pattern) if "vendor" not in each.parts)


def named() -> set[str]:
    """The classes of PatternFly that the page names."""
    return {word for source in sources() for word in NAMED.findall(source.read_text())}


def own_variables() -> set[str]:
    return {name for source in sources() for name in VARIABLE.findall(source.read_text())}


def parse(text: str) -> list[Rule]:
    """Raises IndexError for a sheet that ends within a rule."""
    text = COMMENT.sub("", text)
    top = Rule("", [], [])
    open_rules, start = [top], 0
    for position, sign in enumerate(text):
        if sign == "{":
            rule = Rule(" ".join(text[start:position].split()), [], [])
            open_rules[-1].inside.append(rule)
            open_rules.append(rule)
        elif sign in ";}":
            if declaration := " ".join(text[start:position].split()):
                open_rules[-1].declarations.append(declaration)
            if sign == "}":
                open_rules.pop()
        else:
            continue
        start = position + 1
    return top.inside


def kept(rules: list[Rule], used: set[str]) -> Iterator[Rule]:
    for rule in rules:
        if rule.head.startswith(("@media", "@supports", "@container")):
            rule.inside = list(kept(rule.inside, used))
            if rule.inside:
                yield rule
        elif rule.head.startswith("@"):
            yield rule
        elif branches := [each for each in split(rule.head) if fits(each, used)]:
            rule.head = ", ".join(branches)
            rule.inside = list(kept(rule.inside, used))
            yield rule


def split(selector: str) -> list[str]:
    """The branches of a selector; commas within parentheses are no borders."""
    return [each.strip() for each in re.split(r",(?![^(]*\))", selector)]


def fits(branch: str, used: set[str]) -> bool:
    return set(CLASS.findall(NEGATED.sub("", branch))) <= used


def prune(rules: list[Rule], used: set[str]) -> None:
    """Take away the variables that nothing refers to, until there are none."""
    while True:
        every = list(walk(rules))
        texts = "\n".join(text for rule in every for text in rule.declarations)
        wanted = set(VARIABLE.findall(texts)) | used
        before = sum(len(rule.declarations) for rule in every)
        for rule in every:
            rule.declarations = [
                each
                for each in rule.declarations
                if not each.startswith("--") or each.partition(":")[0].strip() in wanted
            ]
        if before == sum(len(rule.declarations) for rule in every):
            return


def walk(rules: list[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        yield from walk(rule.inside)


def lines(rule: Rule, indent: str = "") -> Iterator[str]:
    inside = [line for each in rule.inside for line in lines(each, indent + "  ")]
    if not rule.declarations and not inside:
        return
    yield f"{indent}{rule.head} {{\n"
    yield from (f"{indent}  {each};\n" for each in rule.declarations)
    yield from inside
    yield f"{indent}}}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
