"""Count what makes text hard to read: idioms, public classes without docstring, names `one`.

Usage: python -m tools.prose [--list]

Texts are comments, docstrings and strings of Python, comments of scripts and units, and documents
without their code. Strings of tests are data, not texts. `--list` names each place. Exits with
1 if a budget is exceeded.
"""

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
IDIOMS = ROOT / "tools" / "idioms.txt"
BUDGET = 3  # idioms in 10,000 words of the project: a word that fits is no fault, a tone is
OWN_SENTENCE = "1.16:"  # begins a line of IDIOMS that holds a sentence of Multipass 1.16
PACKAGES = ("protocol", "client", "multipassd", "tools", "benchmarks", "tests")
DOCUMENTS = ("*.md", "docs/**/*.[158]", "docs/**/*.md", "benchmarks/*.md")
SCRIPTS = ("dev", ".ci/run", "bin/*", "debian/**/*", "snap/**/*")

WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"```[\s\S]*?```|^ {4,}.*$|`[^`\n]*`", re.MULTILINE)
DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


class Text(NamedTuple):
    """A comment, docstring or string, and the line where it begins."""

    line: int
    text: str


class Idioms:
    """The idioms, and the sentences of 1.16 in which they are not counted."""

    def __init__(self, lines: list[str]) -> None:
        lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        own = [line.removeprefix(OWN_SENTENCE).strip() for line in lines if OWN_SENTENCE in line]
        words = [re.escape(line) for line in lines if OWN_SENTENCE not in line]
        self._own = own
        # A word with a hyphen or a quote beside it is part of a name: --kill-whom, 'nobody'.
        pattern = rf"(?<![\w'\"@/.=-])(?:{'|'.join(words)})(?![\w'\"/=-])"
        self._pattern = re.compile(pattern.replace(r"\ ", r"\s+(?:#\s+)?"), re.IGNORECASE)

    def find(self, text: str) -> Iterator[tuple[int, str]]:
        """(line within the text, idiom)"""
        for sentence in self._own:
            text = text.replace(sentence, "")
        for match in self._pattern.finditer(text):
            yield text.count("\n", 0, match.start()), match[0]


@dataclass
class Counts:
    """What one area of the project has."""

    words: int = 0
    idioms: list[str] = field(default_factory=list)
    bare_classes: list[str] = field(default_factory=list)
    named_one: list[str] = field(default_factory=list)


def python_texts(source: str, tree: ast.Module, strings: bool) -> Iterator[Text]:
    """Comments and docstrings; with `strings` also the strings that have more than one word."""
    comments = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    # Adjoining lines are one text, as a phrase may be broken between them.
    block: list[tokenize.TokenInfo] = []
    for token in comments:
        if block and token.start[0] != block[-1].start[0] + 1:
            yield Text(block[0].start[0], "\n".join(each.string for each in block))
            block = []
        block.append(token)
    if block:
        yield Text(block[0].start[0], "\n".join(each.string for each in block))
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, DEFINITION) and ast.get_docstring(node, clean=False) is not None:
            expression = node.body[0]
            assert isinstance(expression, ast.Expr) and isinstance(expression.value, ast.Constant)
            docstrings.add(expression.value)
            yield Text(expression.lineno, str(expression.value.value))
    if strings:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if node not in docstrings and " " in node.value.strip():
                    yield Text(node.lineno, node.value)


def bare_classes(body: list[ast.stmt]) -> Iterator[ast.ClassDef]:
    """The public classes without docstring of a module or a class."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if ast.get_docstring(node) is None:
                yield node
            yield from bare_classes(node.body)


def names_called_one(tree: ast.Module) -> Iterator[int]:
    """The lines of loop variables and parameters with this name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            for name in ast.walk(node.target):
                if isinstance(name, ast.Name) and name.id == "one":
                    yield name.lineno
        elif isinstance(node, ast.arg) and node.arg == "one":
            yield node.lineno


def document_texts(source: str) -> Iterator[Text]:
    """A Markdown or mdoc file without its code, which keeps its lines."""
    yield Text(1, CODE.sub(lambda match: "\n" * match[0].count("\n"), source))


def script_texts(source: str) -> Iterator[Text]:
    for number, line in enumerate(source.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            yield Text(number, line)


def count_python(path: Path, name: str, idioms: Idioms, counts: Counts) -> None:
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    in_tests = name.startswith("tests/")
    add(python_texts(source, tree, strings=not in_tests), name, idioms, counts)
    if not in_tests:
        bare = bare_classes(tree.body)
        counts.bare_classes += [f"{name}:{node.lineno}: class {node.name}" for node in bare]
    counts.named_one += [f"{name}:{line}: one" for line in names_called_one(tree)]


def add(texts: Iterator[Text], name: str, idioms: Idioms, counts: Counts) -> None:
    for line, text in texts:
        counts.words += len(WORD.findall(text))
        counts.idioms += [f"{name}:{line + at}: {idiom}" for at, idiom in idioms.find(text)]


def count(root: Path, idioms: Idioms) -> dict[str, Counts]:
    """By area: a package, the documents, the scripts."""
    areas: dict[str, Counts] = {}
    for package in PACKAGES:
        counts = areas.setdefault(package, Counts())
        for path in sorted((root / package).rglob("*.py")):
            count_python(path, path.relative_to(root).as_posix(), idioms, counts)
    for area, patterns, texts in (
        ("documents", DOCUMENTS, document_texts),
        ("scripts and units", SCRIPTS, script_texts),
    ):
        counts = areas.setdefault(area, Counts())
        for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
            if path.is_file() and path.suffix != ".pyc":
                source = path.read_text("utf-8", errors="replace")
                add(texts(source), path.relative_to(root).as_posix(), idioms, counts)
    return areas


def faults(areas: dict[str, Counts]) -> list[str]:
    """One sentence for each budget that is exceeded."""
    words = sum(counts.words for counts in areas.values())
    idioms = sum(len(counts.idioms) for counts in areas.values())
    classes = sum(len(counts.bare_classes) for counts in areas.values())
    named_one = sum(len(counts.named_one) for counts in areas.values())
    found = []
    if idioms * 10_000 > BUDGET * words:
        found.append(f"{idioms} idioms in {words} words: more than {BUDGET} in 10,000")
    if classes:
        found.append(f"{classes} public classes have no docstring")
    if named_one:
        found.append(f"{named_one} loop variables or parameters are called `one`")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.prose", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name each place")
    options = parser.parse_args()
    areas = count(ROOT, Idioms(IDIOMS.read_text("utf-8").splitlines()))
    for area, counts in areas.items():
        rate = len(counts.idioms) * 10_000 / max(counts.words, 1)
        print(
            f"{area:18} {counts.words:7} words, {len(counts.idioms):4} idioms"
            f" ({rate:.0f} in 10,000), {len(counts.bare_classes)} bare classes,"
            f" {len(counts.named_one)} named `one`"
        )
        if options.list:
            for place in (*counts.idioms, *counts.bare_classes, *counts.named_one):
                print(place)
    found = faults(areas)
    for fault in found:
        print(f"prose: {fault}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
