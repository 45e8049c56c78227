"""The units that QEMU runs in: one request and one answer on the socket that is stdin.

A process that may create systemd units can become root with all rights, so the daemon may not. It
sends requests to this program instead, over a socket that only root may open; systemd starts it for
each. A unit is always QEMU as a user of its own, in a sandbox that is fixed here.
"""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from multipassd.drivers.qemu.command_line import STOPPER, SYSTEM
from multipassd.drivers.qemu.runner import MAX_SAID, USER, unit_runtime
from multipassd.drivers.qemu.shared_names import UNIT_PREFIX
from multipassd.system import installation, json_request
from multipassd.system.installation import Installation
from multipassd.system.json_request import RequestFailed
from protocol import names

POWER_DOWN = installation.program("multipass-power-down")
MAX_REQUEST = 1 << 20
MAX_NAME = 64  # the daemon's instances have shorter ones
# A guest that ignores its power button for that long is switched off.
STOP_SECONDS = 90
COMMAND_SECONDS = 30.0

PROPERTIES = (
    # At the host's shutdown the daemon stops first, so that it does not record guests that end then
    # as stopped.
    ("Before", Installation.daemon_unit),
    ("After", Installation.network_unit),  # which stops after it
    # Also when an administrator stops that: its DHCP renews the guest's address.
    ("Upholds", Installation.network_unit),
    ("User", USER),
    ("Group", USER),
    ("UMask", "0007"),
    ("RuntimeDirectoryMode", "0770"),
    ("TimeoutStopSec", str(STOP_SECONDS + 10)),
    ("KillMode", "mixed"),
    ("Slice", "machine.slice"),
    ("CapabilityBoundingSet", ""),
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("PrivateTmp", "yes"),
    ("PrivateIPC", "yes"),
    ("DevicePolicy", "closed"),
    ("DeviceAllow", "/dev/kvm rw"),
    ("DeviceAllow", "/dev/net/tun rw"),
    # slirp resolves names for its guests: the places where a host has its resolver's addresses.
    ("BindReadOnlyPaths", "-/run/systemd/resolve"),
    ("BindReadOnlyPaths", "-/run/resolvconf"),
    ("BindReadOnlyPaths", "-/run/NetworkManager"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    # All machines run as the same user, whose processes may access each other there.
    ("InaccessiblePaths", "/proc"),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("KeyringMode", "private"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~process_vm_readv process_vm_writev"),
    ("SystemCallErrorNumber", "EPERM"),
)


def main() -> int:
    with socket.socket(fileno=0) as connection:
        answer = _answer(connection)
        with suppress(RequestFailed):  # the daemon is gone
            json_request.answer(connection, answer)
    return 0


def _answer(connection: socket.socket) -> dict[str, Any]:
    """`code` is 0 if it was done; `said` is the reason otherwise, or what was asked for."""
    try:
        request = json_request.receive(connection, dict, limit=MAX_REQUEST)
        verb, name = request["do"], request["name"]
        if not (isinstance(name, str) and names.valid(name) and len(name) <= MAX_NAME):
            raise ValueError(f"{name!r} is no instance's name")
        base = Path(installation.here().storage)
        if trouble := _of_another(request.get("storage", str(base)), name, base):
            return {"code": 1, "said": trouble[-MAX_SAID:]}
        if verb == "start":
            code, said = _start(name, _checked(request["command"]), base)
        else:
            code, said = {"said": _said, "clear": _clear}[verb](name)
    except (RequestFailed, ValueError, KeyError, TypeError) as error:
        code, said = 1, f"the request is not understood: {error!r}"
    return {"code": code, "said": said[-MAX_SAID:]}


def _checked(command: object) -> list[str]:
    """Raises ValueError."""
    if not (isinstance(command, list) and all(isinstance(word, str) for word in command)):
        raise ValueError("the command is no list of words")
    if command[:1] != [SYSTEM]:
        raise ValueError(f"the command is not {SYSTEM}")
    return command


def _of_another(storage: str, name: str, base: Path) -> str:
    """Why the request is refused: the unit is not, or not certainly, of this storage directory;
    empty where it is."""
    if storage != str(base):
        return (
            f"the service keeps its instances in {storage}, and multipass-machines@.service looks "
            f"in {base}: set MULTIPASS_STORAGE for both, see multipassd(8)"
        )
    if not unit_runtime(name).exists():
        return ""
    # Empty for a unit that does not exist any more.
    code, paths = _run("systemctl", "show", "--value", "--property=BindPaths", _unit(name))
    if code:
        return f"systemd does not tell which storage directory {_unit(name)} is of: {paths}"
    if paths and f"{base}/machines/{name}" not in paths.replace(":", " ").split():
        return (
            f"{_unit(name)} runs for another storage directory and is left alone; "
            f"`sudo systemctl stop {_unit(name)}` ends it"
        )
    return ""


def _start(name: str, command: list[str], base: Path) -> tuple[int, str]:
    if unit_runtime(name).exists():
        _clear(name)
    stopper = f"{POWER_DOWN} {unit_runtime(name) / STOPPER} {STOP_SECONDS}"
    properties = (*PROPERTIES, *own_properties(name, base), ("ExecStop", stopper))
    return _run(
        "systemd-run", "--quiet", "--collect", "--no-ask-password", "--service-type=exec",
        f"--unit={UNIT_PREFIX}{name}", f"--description=Multipass instance {name}",
        *(f"--property={key}={value}" for key, value in properties),
        "--", *command,
    )  # fmt: skip


def own_properties(name: str, base: Path) -> tuple[tuple[str, str], ...]:
    """The properties that show each machine only its own files and sockets. Pure."""
    return (
        ("RuntimeDirectory", unit_runtime(name).name),
        ("TemporaryFileSystem", f"{base}:ro /run:ro"),
        ("BindReadOnlyPaths", f"-{base}/images"),
        ("BindPaths", f"-{base}/machines/{name} {unit_runtime(name)}"),
    )


def _said(name: str) -> tuple[int, str]:
    _run("journalctl", "--sync")
    return _run(
        "journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1", "--boot",
        f"--identifier={SYSTEM}", f"--unit={_unit(name)}",
    )  # fmt: skip


def _clear(name: str) -> tuple[int, str]:
    _run("systemctl", "kill", "--signal=KILL", _unit(name))
    return _run("systemctl", "stop", _unit(name))


def _unit(name: str) -> str:
    return f"{UNIT_PREFIX}{name}.service"


def _run(*command: str) -> tuple[int, str]:
    """Exit code and the last line of the output."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} took too long"
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return done.returncode, lines[-1] if lines else ""
