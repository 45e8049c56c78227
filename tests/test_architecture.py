"""The walls of the house: which room may import which. Read from the source, nothing is run."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = {"multipassd", "client"}

# Modules that only compute: bytes and values in, bytes and values out. That makes them testable
# by property and usable from asyncio, threads and blocking code alike.
PURE = (
    "protocol",  # the whole package
    "client/render",
    "multipassd/gate.py",
    "multipassd/tls.py",
)
DOES_IO = {"asyncio", "socket", "ssl", "select", "selectors", "socketserver", "subprocess"}

# Every command of the client pays for what its way imports, so these never load with a module;
# a function may import one lazily where a command truly needs it.
HEAVY_FOR_CLIENT = {
    "pydantic", "cryptography", "asyncio", "rich", "argparse", "h2", "hpack", "google", "grpc",
    "OpenSSL", "dataclasses", "logging", "typing",
}  # fmt: skip


def modules(*places: str) -> list[Path]:
    found: list[Path] = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(node: ast.If) -> bool:
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def nodes(tree: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """Every node that runs; with ``lazy=False`` only what runs when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and is_type_checking(child):
            continue
        if not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield child
        yield from nodes(child, lazy=lazy)


def imports(path: Path, *, lazy: bool = True) -> set[str]:
    """The full names that a module imports; relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), lazy=lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("path", modules("protocol"), ids=name_of)
def test_protocol_imports_neither_program(path: Path) -> None:
    assert not top(imports(path)) & PROGRAMS


@pytest.mark.parametrize("path", modules("client"), ids=name_of)
def test_client_never_imports_the_daemon(path: Path) -> None:
    assert "multipassd" not in top(imports(path))


@pytest.mark.parametrize("path", modules("multipassd"), ids=name_of)
def test_daemon_never_imports_the_client(path: Path) -> None:
    assert "client" not in top(imports(path))


@pytest.mark.parametrize("path", modules(*PURE), ids=name_of)
def test_pure_modules_import_neither_asyncio_nor_sockets(path: Path) -> None:
    assert not top(imports(path)) & DOES_IO


@pytest.mark.parametrize("path", modules("client"), ids=name_of)
def test_client_modules_load_nothing_slow(path: Path) -> None:
    assert not top(imports(path, lazy=False)) & HEAVY_FOR_CLIENT


def test_programs_import_no_tests_tools_or_benchmarks() -> None:
    for path in modules("protocol", *sorted(PROGRAMS)):
        assert not top(imports(path)) & {"tests", "tools", "benchmarks"}, name_of(path)


def test_every_path_in_the_architecture_text_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = "protocol|multipassd|client|tests|tools|benchmarks"
    named = set(re.findall(rf"`((?:{rooms})/[\w/.]*)`", text))
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}
