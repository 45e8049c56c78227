"""QEMU in a transient unit of its own: systemd keeps it when the daemon goes, collects its journal,
and at the host's shutdown gives the guest time to end."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from multipassd.drivers.driver import DriverError
from multipassd.drivers.qemu.command import STOPPER, SYSTEM
from multipassd.drivers.qemu.runner import USER

PREFIX = "multipass-instance-"
MANAGER = Path("/run/systemd/private")  # where root asks the service manager
POWER_DOWN = "/usr/lib/multipass/bin/multipass-power-down"
# A guest that ignores its power button for that long is switched off.
STOP_SECONDS = 90
COMMAND_SECONDS = 30.0

PROPERTIES = {
    "User": USER,
    "Group": USER,
    "SupplementaryGroups": "-kvm",
    "UMask": "0007",
    "RuntimeDirectoryMode": "0770",
    "TimeoutStopSec": str(STOP_SECONDS + 10),
    "KillMode": "mixed",
    "Slice": "machine.slice",
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "DevicePolicy": "closed",
    "DeviceAllow": "/dev/kvm rw",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}


def usable() -> bool:
    """Is there a service manager that this process may ask for units?"""
    return os.geteuid() == 0 and os.access(MANAGER, os.W_OK)


class UnitRunner:
    def runtime(self, name: str) -> Path:
        return Path("/run") / f"{PREFIX}{name}"

    async def start(self, name: str, command: Sequence[str], place: Path) -> None:
        await self.clear(name)
        properties = PROPERTIES | {
            "RuntimeDirectory": f"{PREFIX}{name}",
            "ReadWritePaths": str(place),
            "ExecStop": f"{POWER_DOWN} {self.runtime(name) / STOPPER} {STOP_SECONDS}",
        }
        done, said = await _run(
            "systemd-run", "--quiet", "--collect", "--no-ask-password", "--service-type=exec",
            f"--unit={PREFIX}{name}", f"--description=Multipass instance {name}",
            *(f"--property={key}={value}" for key, value in properties.items()),
            "--", *command,
        )  # fmt: skip
        if done:
            hint = " Please install the package qemu-system-x86." if "No such file" in said else ""
            raise DriverError(f"The unit of {name} could not be started: {said}.{hint}")

    async def alive(self, name: str) -> bool:
        code, _ = await _run("systemctl", "is-active", "--quiet", f"{PREFIX}{name}.service")
        return code == 0

    async def said(self, name: str) -> str:
        _, text = await _run(
            "journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=1",
            f"--identifier={SYSTEM}", f"--unit={PREFIX}{name}.service",
        )  # fmt: skip
        return text[-500:]

    async def clear(self, name: str) -> None:
        unit = f"{PREFIX}{name}.service"
        await _run("systemctl", "kill", "--signal=KILL", unit)
        await _run("systemctl", "stop", unit)
        await _run("systemctl", "reset-failed", unit)


async def _run(*command: str) -> tuple[int, str]:
    """Exit code, and the last line that was said."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}"
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 124, f"{command[0]} took too long"
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return process.returncode or 0, lines[-1] if lines else ""
