"""The host's network interfaces that an instance may be connected to, from /sys/class/net."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

NET = Path("/sys/class/net")
ETHERNET, BRIDGE = "ethernet", "bridge"
ARPHRD_ETHER = "1"
MAX_NAME = 15  # letters; Linux takes no more

OURS = "mpqemubr0"  # 1.16's name, which users' firewall rules have
TAP = "mp-"  # followed by the digits of a MAC address: MAX_NAME letters


@dataclass(frozen=True)
class Interface:
    """An ethernet device, or a bridge; or what the driver has itself, of a type of its own."""

    name: str
    type: str
    members: tuple[str, ...] = ()  # a bridge's
    bridge: str = ""  # that an ethernet device is a member of
    about: str = ""  # the description of what is none of the host's

    @property
    def description(self) -> str:
        if self.about or self.type not in (ETHERNET, BRIDGE):
            return self.about
        if self.type == ETHERNET:
            return "Ethernet device"
        return "Network bridge" + (f" with {', '.join(self.members)}" if self.members else "")


def read(net: Path = NET) -> list[Interface]:
    """Sorted by name, without those made for instances. A device that is removed while they are
    read is left out."""
    found: list[Interface] = []
    with suppress(FileNotFoundError):
        for path in sorted(net.iterdir()):
            with suppress(OSError):
                if interface := _interface(path):
                    found.append(interface)
    return found


def _interface(path: Path) -> Interface | None:
    if (path / "bridge").is_dir():
        if path.name == OURS:
            return None
        members = sorted(
            port.name for port in (path / "brif").iterdir() if not port.name.startswith(TAP)
        )
        return Interface(path.name, BRIDGE, tuple(members))
    # Only hardware has this link: no loopback, veth, tap or VLAN has it.
    wired = (path / "type").read_text().strip() == ARPHRD_ETHER and (path / "device").exists()
    if not wired or (path / "wireless").exists() or (path / "phy80211").exists():
        return None
    master = path / "brport" / "bridge"
    bridge = master.resolve().name if master.exists() else ""
    return Interface(path.name, ETHERNET, bridge=bridge)
