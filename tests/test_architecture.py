"""The structure: which directory may import which. Read from the source, nothing is run."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ("multipassd", "client")
MOST_MODULES = 16  # in a directory of the daemon; with more it is no longer one subject

# A directory of the daemon, or a module at its top, may import those on smaller levels, itself
# and `protocol`. ARCHITECTURE.md says what each is for.
LEVELS = {
    "multipassd.models": 0,
    "multipassd.system": 0,
    "multipassd.audit": 1,
    "multipassd.certificates": 1,
    "multipassd.cloudinit": 1,
    "multipassd.trust": 1,
    "multipassd.auth": 2,
    "multipassd.disk_helper": 3,
    "multipassd.settings": 3,
    "multipassd.transport.http2": 3,
    "multipassd.transport.quota": 3,
    "multipassd.images": 4,
    "multipassd.mounts": 4,
    "multipassd.transport": 4,
    "multipassd.drivers": 5,
    "multipassd.images.worker": 5,
    "multipassd.drivers.incus": 10,
    "multipassd.drivers.incus.api": 6,
    "multipassd.drivers.incus.cluster": 7,
    "multipassd.drivers.incus.networking": 8,
    "multipassd.drivers.incus.inspection": 9,
    "multipassd.drivers.qemu": 6,
    "multipassd.instances.states": 6,
    "multipassd.network": 6,
    "multipassd.drivers.qemu.helper": 7,
    "multipassd.instances.records": 7,
    "multipassd.network.uplinks": 7,
    "multipassd.instances.attachments": 8,
    "multipassd.instances.owners": 8,
    "multipassd.instances.snapshots": 8,
    "multipassd.network.helper": 8,
    "multipassd.instances.guests": 9,
    "multipassd.instances": 10,
    "multipassd.admin.access": 11,
    "multipassd.instances.cloning": 11,
    "multipassd.instances.sharing": 11,
    "multipassd.instances.exporting": 12,
    "multipassd.instances.launching": 11,
    "multipassd.guest_access": 12,
    "multipassd.admin.findings": 12,
    "multipassd.admin.records": 12,
    "multipassd.backend": 13,
    "multipassd.driver_choice": 11,
    "multipassd.joined_cluster": 12,
    "multipassd.late_code": 1,
    "multipassd.rpc": 13,
    "multipassd.admin": 14,
    "multipassd.migration": 14,
    "multipassd.rpc.methods": 14,
    "multipassd.options": 15,
    "multipassd.service": 15,
    "multipassd.status_line": 2,
    "multipassd.snap": 15,
    "multipassd.main": 16,
}
# A program of its own with other rights than the daemon's: what it may import of the daemon,
# besides its own directory. Nothing that is not listed runs with those rights.
PRIVILEGE_DOMAINS = {
    "multipassd.images.worker": {"system", "auth", "disk_helper", "images", "models"},
    "multipassd.disk_helper": {"system", "auth"},
    "multipassd.mounts": {"system", "auth"},
    "multipassd.drivers.qemu.helper": {"system", "drivers.qemu"},
    "multipassd.network.helper": {"system", "drivers", "network", "network.uplinks"},
}

# Modules that only compute: bytes and values in, bytes and values out. That makes them testable
# by property and usable from asyncio, threads and blocking code alike.
PURE = (
    "protocol",
    "client.aliases.table",
    "client.render",
    "client.sftp.names",
    "client.sftp.protocol",
    "multipassd.auth.gate",
    "multipassd.auth.standing",
    "multipassd.cloudinit.userdata",
    "multipassd.drivers.interface",
    "multipassd.drivers.qemu.command_line",
    "multipassd.drivers.qemu.hardware",
    "multipassd.drivers.qemu.qmp_protocol",
    "multipassd.images.exported",
    "multipassd.images.image",
    "multipassd.images.remotes",
    "multipassd.images.search",
    "multipassd.images.worker.simplestreams",
    "multipassd.instances.attachments.attachment",
    "multipassd.instances.guests.guest_stats",
    "multipassd.instances.launching.launch_networks",
    "multipassd.instances.launching.launch_spec",
    "multipassd.instances.launching.petnames",
    "multipassd.instances.records.record",
    "multipassd.instances.snapshots.tree",
    "multipassd.instances.states",
    "multipassd.migration.formats",
    "multipassd.models",
    "multipassd.network.interface",
    "multipassd.network.subnet",
    "multipassd.transport.grpc_headers",
    "multipassd.transport.http2",
    "multipassd.transport.tls",
    "multipassd.trust.pem_text",
)
DOES_IO = {"asyncio", "socket", "ssl", "select", "selectors", "socketserver", "subprocess"}

# Only the module that puts the backend together knows which drivers there are.
KNOWS_DRIVERS = ("multipassd.drivers.qemu", "multipassd.driver_choice")
# Only these tell a deb, a snap and a checkout apart, and know where the programs lie.
KNOWS_PACKAGES = ("multipassd.system.installation", "protocol.places")
# What only the image worker's process loads, `multipass-migrate`, or tests.
HEAVY_FOR_DAEMON = {"httpx", "pydantic", "zstandard", "h2", "hpack", "hyperframe"}
# Every command of the client pays for what its way imports, so these never load with a module;
# a function may import one lazily where a command truly needs it.
HEAVY_FOR_CLIENT = {
    "pydantic", "cryptography", "asyncio", "rich", "argparse", "h2", "hpack", "google", "grpc",
    "OpenSSL", "dataclasses", "logging", "typing",
}  # fmt: skip
# The modules of C beneath `socket` and `ssl`, with the Pythons that they were tried with (decision
# 84); each module that imports one has the library's own for the others.
BENEATH_THE_LIBRARY = {"client.transport.sockets": {"_socket"}, "client.transport.tls": {"_ssl"}}
# What a start and a first `list` do without: it takes milliseconds, and MiB of an idle service.
# A frozen dataclass takes 0.4 ms, as it compiles its methods; a named tuple 0.05 ms.
HEAVY_FOR_START = HEAVY_FOR_DAEMON | {
    "cryptography", "pydantic", "yaml", "h2", "OpenSSL", "argparse", "dataclasses", "email", "hmac",
    "platform", "random", "secrets", "shutil", "ssl", "tarfile", "tempfile", "uuid", "zipfile",
}  # fmt: skip
LISTING = "multipassd.rpc.methods.listing"
# What loads own code at its first use: see `multipassd/late_code.py`.
IMPORT_LATE = {
    "multipassd.drivers.incus.assembly",
    "multipassd.drivers.incus.inspection.cluster",
    "multipassd.certificates.expiry",
    "multipassd.auth.inviting",
    "multipassd.auth.renewal",
    "multipassd.certificates.server_certificate",
    "multipassd.backend",
    "multipassd.driver_choice",
    "multipassd.joined_cluster",
    "multipassd.cloudinit.ssh_keys",
    "multipassd.guest_access.guest_access",
    "multipassd.instances.collection",
    "multipassd.instances.mount_switch",
    "multipassd.instances.records.record_text",
    "multipassd.instances.records.registry",
    "multipassd.main",
    "multipassd.rpc.methods.listing",
    "protocol.certificate_check",
    "protocol.client_certificate",
}


def _is_type_checking(node: ast.If) -> bool:
    test = node.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _nodes(tree: ast.AST, *, lazy: bool) -> Iterator[ast.AST]:
    """Every node that runs; with ``lazy=False`` only what runs when the module is imported."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and _is_type_checking(child):
            continue
        if not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield child
        yield from _nodes(child, lazy=lazy)


@cache
def modules() -> dict[str, Path]:
    """Every module of the programs and of `protocol`, by its full name; a package by its own."""
    found = {}
    for place in ("protocol", *PROGRAMS):
        for path in sorted((ROOT / place).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports(module: str, *, lazy: bool = True) -> frozenset[str]:
    """The full names that a module imports."""
    found: set[str] = set()
    for node in _nodes(ast.parse(modules()[module].read_text(encoding="utf-8")), lazy=lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def top(names: frozenset[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def imported_modules(module: str, *, lazy: bool = True) -> set[str]:
    """The project's own modules among what it imports; a function's name counts for its module."""
    found = set()
    for name in imports(module, lazy=lazy):
        while name and name not in modules():
            name = name.rpartition(".")[0]
        if name:
            found.add(name)
    return found


def unit(module: str) -> str:
    """The directory that a module of the daemon is in; a module at the top is one by itself."""
    if modules()[module].name == "__init__.py" or module.count(".") == 1:
        return module
    return module.rpartition(".")[0]


def closure(*modules: str, lazy: bool = False) -> set[str]:
    """What is loaded with these; with `lazy` also what they load later."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += imported_modules(module, lazy=lazy)
    return seen


def within(module: str, *places: str) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def of(*places: str) -> list[str]:
    return [module for module in modules() if within(module, *places)]


def test_each_directory_imports_only_from_lower_levels() -> None:
    wrong = [
        f"{module} ({LEVELS[unit(module)]}) imports {other} ({LEVELS[unit(other)]})"
        for module in of("multipassd")
        for other in imported_modules(module)
        if module != "multipassd" and within(other, "multipassd")
        and unit(module) != unit(other) and LEVELS[unit(other)] >= LEVELS[unit(module)]
    ]  # fmt: skip
    assert not wrong


def test_no_directory_of_the_daemon_is_too_large_to_be_one_subject() -> None:
    sizes = Counter(modules()[module].parent for module in of("multipassd"))
    large = {str(place.relative_to(ROOT)): size for place, size in sizes.items()
             if size - (place / "__init__.py").exists() > MOST_MODULES}  # fmt: skip
    assert not large


def test_a_program_with_other_rights_imports_only_what_is_listed_for_it() -> None:
    for domain, allowed in PRIVILEGE_DOMAINS.items():
        for module in of(domain):
            own = {other for other in imported_modules(module) if within(other, "multipassd")}
            known = {unit(other) for other in own}
            known -= {domain, *(f"multipassd.{name}" for name in allowed)}
            assert not known, f"{module} imports from {sorted(known)}"


def test_protocol_imports_no_program_and_the_programs_never_each_other() -> None:
    for module in of("protocol"):
        assert not top(imports(module)) & set(PROGRAMS), module
    for module in of("client"):
        assert "multipassd" not in top(imports(module)), module
    for module in of("multipassd"):
        assert "client" not in top(imports(module)), module


def test_programs_import_no_tests_tools_or_benchmarks() -> None:
    for module in modules():
        assert not top(imports(module)) & {"tests", "tools", "benchmarks"}, module


def test_only_listed_modules_load_own_code_late() -> None:
    """What is loaded at a start can be read from the list; `late_code.py` keeps versions apart."""
    loading = set()
    for module in of("multipassd", "protocol"):
        late = imports(module) - imports(module, lazy=False)
        if top(late) & {"multipassd", "protocol"}:
            loading.add(module)
    assert loading == IMPORT_LATE


def test_a_start_and_a_list_load_no_instance_and_no_cryptography() -> None:
    loaded = closure("multipassd.main", "multipassd.instances.collection", LISTING)
    assert {"multipassd.transport.tls", "multipassd.trust.store"} <= loaded
    assert not loaded & set(of("multipassd.instances.instance", "multipassd.drivers.interface"))
    assert not [each for each in loaded if top(imports(each, lazy=False)) & HEAVY_FOR_START]


def test_pure_modules_import_neither_asyncio_nor_sockets() -> None:
    assert all(place in modules() for place in PURE)
    for module in of(*PURE):
        assert not top(imports(module)) & DOES_IO, module


def test_client_modules_load_nothing_slow() -> None:
    for module in of("client"):
        assert not top(imports(module, lazy=False)) & HEAVY_FOR_CLIENT, module


def test_no_module_imports_a_private_one_of_cpython() -> None:
    """`_thread` is documented; it is what `threading` costs each command 2 ms more than."""
    for module in modules():
        private = {name for name in top(imports(module)) if name.startswith("_")}
        private -= BENEATH_THE_LIBRARY.get(module, set())
        assert not private - {"__future__", "_thread"}, module


def test_only_the_backend_knows_which_drivers_there_are() -> None:
    for module in of("multipassd"):
        if not within(module, *KNOWS_DRIVERS):
            assert not {n for n in imports(module) if within(n, "multipassd.drivers.qemu")}, module


def test_only_the_driver_of_incus_imports_aiohttp() -> None:
    """It takes the daemon 15 MiB, and is not installed where the driver is not chosen."""
    for module in modules():
        if not within(module, "multipassd.drivers.incus"):
            assert not top(imports(module)) & {"aiohttp", "yarl"}, module
    assert any("aiohttp" in top(imports(each)) for each in of("multipassd.drivers.incus.api"))


def test_only_the_installation_asks_whether_this_is_the_snap() -> None:
    """All else asks `Installation` for the path, unit, command or right that follows from it."""
    for module, path in modules().items():
        if module not in KNOWS_PACKAGES:
            source = path.read_text(encoding="utf-8")
            assert "in_snap" not in source, module
            assert not re.search(r'parents\[\d\][^\n]*"bin', source), module


def test_the_daemon_loads_nothing_that_its_image_worker_is_there_for() -> None:
    seen = closure("multipassd.service", lazy=True)
    assert "multipassd.images.library" in seen
    for module in seen:
        assert not top(imports(module)) & HEAVY_FOR_DAEMON, module
    assert not {module for module in seen if within(module, "multipassd.images.worker")}


def test_every_path_in_the_architecture_text_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    places = "protocol|multipassd|client|tests|tools|benchmarks"
    named = set(re.findall(rf"`((?:{places})/[\w/.]*)`", text))
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}


def test_calls_look_instances_up_in_the_callers_view_alone() -> None:
    """What a caller may not know of must not be found by a call that asks the collection."""
    found = r"daemon\.instances\.(all|everything|live|deleted|get|get_live|find|chosen|find_of)\b"
    methods = list((ROOT / "multipassd/rpc/methods").glob("*.py"))
    assert (
        methods and "call.instances" in (ROOT / "multipassd/rpc/methods/lifecycle.py").read_text()
    )
    assert not [path.name for path in methods if re.search(found, path.read_text("utf-8"))]
