"""This host's QEMU, and whether KVM works on it: tried, as /dev/kvm may exist and not work."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio.subprocess import PIPE
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from multipassd.drivers.interface import DriverError
from multipassd.drivers.qemu.command_line import MONITOR, SYSTEM, probe
from multipassd.drivers.qemu.qmp import Monitor, MonitorError
from multipassd.drivers.qemu.runner import Runner
from multipassd.system import installation, log
from multipassd.system.programs import ProgramMissing, child

PROBE = f"multipass-probe-{os.urandom(6).hex()}"
ANY_PROBE = re.compile(r"multipass-probe-[0-9a-f]{12}")  # of a daemon that was killed, too
GREETING_SECONDS = 10.0
POLL = 0.02
ALIAS = re.compile(r"^(\S+)\s.*\(alias of (\S+)\)", re.MULTILINE)  # short, versioned
TYPE = "pc"  # boots by BIOS, and by UEFI too; q35 would need another seed disk
# With five-level paging QEMU before 8 emulates some kernels into a panic; and its CMPXCHG16B, which
# Linux allocates memory by, leaves rubbish among the flags that the next interrupt trips over.
TCG_CPU, OLD_TCG_CPU = "max,la57=off", "max,la57=off,cx16=off"
SOUND_VERSION = 8
VERSION = re.compile(r"-(\d+)\.\d+$")  # at the end of a machine's versioned name

_log = log.get("qemu")


@dataclass(frozen=True)
class Ability:
    """What this host's QEMU emulates with."""

    machine: str  # versioned
    accelerator: str
    cpu: str


async def inspect(runner: Runner, place: Path, override: str) -> Ability:
    """`override`: "kvm" or "tcg" where the administrator knows better. Raises DriverError."""
    machine = await _machine()
    if override != "tcg" and (override == "kvm" or await _kvm_works(runner, place, machine)):
        return Ability(machine, "kvm", "host")
    if not override:
        _log.warning(
            "KVM does not work on this host, so instances are emulated, which is slow; %s",
            installation.here().enable_kvm,
        )
    return Ability(machine, "tcg", tcg_cpu(machine))


def tcg_cpu(machine: str) -> str:
    """The model to emulate with the QEMU whose newest machine this is."""
    version = VERSION.search(machine)
    return TCG_CPU if version and int(version[1]) >= SOUND_VERSION else OLD_TCG_CPU


async def _machine() -> str:
    """The versioned name of the machine type, which a guest must find again at each start."""
    async with child(SYSTEM, "-machine", "help", stdout=PIPE) as process:
        output, _ = await process.communicate()
    for alias in ALIAS.finditer(output.decode("utf-8", "replace")):
        if alias[1] == TYPE:
            return alias[2]
    return TYPE


async def _kvm_works(runner: Runner, place: Path, machine: str) -> bool:
    """Does a machine on KVM live long enough to greet?"""
    try:
        await runner.start(PROBE, probe(machine, "kvm", "host", runner.runtime(PROBE)), place)
        monitor = await reach(runner, PROBE, GREETING_SECONDS)
    except (DriverError, ProgramMissing, MonitorError):
        return False
    else:
        with suppress(MonitorError):
            await monitor.execute("quit")
        monitor.close()
        return True
    finally:
        await runner.clear(PROBE)


async def reach(runner: Runner, name: str, seconds: float) -> Monitor:
    """The monitor of a process that was just started. Raises MonitorError when it does not come.

    A process that gives up may have had its monitor's socket before: its own words tell more than
    the end of that."""
    path = runner.runtime(name) / MONITOR
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with suppress(OSError, MonitorError):
                    return await Monitor.connect(path)
                if not await runner.alive(name):
                    raise MonitorError(await runner.last_output(name) or "it ended at once")
                await asyncio.sleep(POLL)
    raise MonitorError(f"it did not answer within {seconds:.0f} s")
