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
    "multipassd/auth/gate.py",
    "multipassd/transport/tls.py",
    "multipassd/cloudinit/userdata.py",
    "multipassd/cloudinit/schema.py",
    "multipassd/cloudinit/value_checks.py",
    "multipassd/cloudinit/parts.py",
    "multipassd/cloudinit/knownkeys.py",
    "multipassd/cloudinit/mime.py",
    "multipassd/drivers/interface.py",
    "multipassd/drivers/qemu/command_line.py",
    "multipassd/images/image.py",
    "multipassd/images/remotes.py",
    "multipassd/images/search.py",
    "multipassd/images/worker/simplestreams.py",
    "multipassd/instances/launching/petnames.py",
    "multipassd/instances/launching/launch_spec.py",
    "multipassd/instances/records/record.py",
    "multipassd/instances/states/transitions.py",
    "multipassd/instances/guests/guest_stats.py",
    "multipassd/instances/launching/launch_networks.py",
    "multipassd/network/subnet.py",
)
DOES_IO = {"asyncio", "socket", "ssl", "select", "selectors", "socketserver", "subprocess"}

# A backend comes or goes without anybody noticing but the place that puts the parts together.
KNOWS_BACKENDS = ("multipassd/drivers/qemu/", "multipassd/backend.py")
# Rooms by what they may not know: what stands above them, or beside them for no reason.
CLOSED_TO = {
    "multipassd/methods": {"multipassd.drivers", "multipassd.backend"},
    "multipassd/instances": {"multipassd.rpc.methods"},
    "multipassd/network": {"multipassd.rpc.methods", "multipassd.drivers.qemu"},
    "multipassd/cloudinit": {"multipassd.rpc.methods", "multipassd.drivers", "multipassd.images"},
    "multipassd/images": {
        "multipassd.rpc.methods", "multipassd.drivers", "multipassd.instances", "multipassd.network",
    },
    "multipassd/drivers": {"multipassd.rpc.methods", "multipassd.instances", "multipassd.network"},
}  # fmt: skip
# What only the image worker's process loads.
HEAVY_FOR_DAEMON = {"httpx", "zstandard"}

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


@pytest.mark.parametrize("path", modules("multipassd", "protocol"), ids=name_of)
def test_the_daemon_has_its_own_code_loaded_before_it_serves(path: Path) -> None:
    """Or an upgrade under a daemon that runs would mix two versions."""
    late = imports(path) - imports(path, lazy=False)
    # The latter is for clients, and for a child that acts in a home.
    before_serving = {"multipassd/main.py", "protocol/client_certificate.py"}
    assert not top(late) & {"multipassd", "protocol"} or name_of(path) in before_serving


@pytest.mark.parametrize("path", modules(*PURE), ids=name_of)
def test_pure_modules_import_neither_asyncio_nor_sockets(path: Path) -> None:
    assert not top(imports(path)) & DOES_IO


@pytest.mark.parametrize("path", modules("client"), ids=name_of)
def test_client_modules_load_nothing_slow(path: Path) -> None:
    assert not top(imports(path, lazy=False)) & HEAVY_FOR_CLIENT


@pytest.mark.parametrize("room", CLOSED_TO)
def test_rooms_do_not_know_what_stands_above_them(room: str) -> None:
    for path in modules(room):
        known = {
            name
            for name in imports(path)
            if any(name == one or name.startswith(f"{one}.") for one in CLOSED_TO[room])
        }
        assert not known, name_of(path)


@pytest.mark.parametrize("path", modules("multipassd"), ids=name_of)
def test_only_one_place_knows_which_backends_there_are(path: Path) -> None:
    if not name_of(path).startswith(KNOWS_BACKENDS):
        assert not {name for name in imports(path) if name.startswith("multipassd.drivers.qemu")}


def test_the_daemon_loads_nothing_that_its_image_worker_is_there_for() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "multipassd/service.py"]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        names = imports(path, lazy=False)
        assert not top(names) & HEAVY_FOR_DAEMON, name_of(path)
        for name in names:
            file = ROOT / f"{name.replace('.', '/')}.py"
            if file.is_file() and file not in seen:
                waiting.append(file)
    assert ROOT / "multipassd/images/library.py" in seen
    assert not {"download.py", "prepare.py", "worker.py"} & {path.name for path in seen}


def test_programs_import_no_tests_tools_or_benchmarks() -> None:
    for path in modules("protocol", *sorted(PROGRAMS)):
        assert not top(imports(path)) & {"tests", "tools", "benchmarks"}, name_of(path)


def test_every_path_in_the_architecture_text_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = "protocol|multipassd|client|tests|tools|benchmarks"
    named = set(re.findall(rf"`((?:{rooms})/[\w/.]*)`", text))
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}
