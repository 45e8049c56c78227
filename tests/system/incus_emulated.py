"""Members of an Incus cluster that make virtual machines, emulated, for tests alone.

    with incus_base("incus-vm") as base, cluster(base, kind=EmulatingMember) as fabric:
        fabric.route_to_guests()                     # a virtual machine is reached directly only
        with incus_site(fabric) as site: ...

Incus makes them by KVM alone, which most machines that run tests don't have. So programs of
tests/system/emulation stand before those that incusd starts, and before incusd itself: they answer
for the kernel, and have QEMU emulate. All else is Incus as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.system.incus_cluster import FILTER, Member

PROGRAMS = Path(__file__).parent / "emulation"
PLACE = "/usr/local/lib/emulation"
DEVICES = ("/dev/kvm", "/dev/net/tun", "/dev/vsock")
GUEST_NUMBERS = "/dev/vhost-vsock"
# The filter of system calls that stands for the kernel is asked about by descriptor.
MORE_CALLS = "pidfd_getfd process_vm_readv"
UNIT = f"""[Service]
ExecStart=
ExecStart={PLACE}/incusd --group incus-admin --logfile=/var/log/incus/incus.log
"""


def missing() -> str:
    """Why there can be none here; empty if there can."""
    lacking = [device for device in DEVICES if not Path(device).exists()]
    return f"this machine has no {' and no '.join(lacking)}" if lacking else ""


class EmulatingMember(Member):
    """A member that makes virtual machines."""

    def boot(self) -> None:
        shutil.copytree(PROGRAMS, f"{self.root}{PLACE}", dirs_exist_ok=True)
        unit = self.root / "etc/systemd/system/incus.service.d/emulation.conf"
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text(UNIT)
        super().boot()

    def more_options(self) -> Sequence[str]:
        options = [option for option in super().more_options() if FILTER not in option]
        binds = [f"--bind={device}" for device in DEVICES]
        return (*options, f"--system-call-filter={FILTER} {MORE_CALLS}", *binds)

    def begun(self) -> None:
        self.run("touch", GUEST_NUMBERS)
        super().begun()
