"""Who keeps a host's network card: programs with configurations of their own, and how a person
would use them."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.system.host import Host, in_root

DEVICE, GATEWAY = "lan0", "192.0.2.1"


class Keeper(Protocol):
    unit: str

    def install(self, root: Path) -> None:
        """To be called before the boot; the card gets its address by DHCP."""

    def state(self, host: Host) -> Any:
        """What it has to say about the card, and all that it has of Multipass's."""

    def by_hand(self, host: Host) -> AbstractContextManager[None]:
        """With fixed addresses and routes instead of DHCP."""


class NetworkManager:
    unit = "NetworkManager.service"
    FIXED = (
        "type", "ethernet", "ifname", DEVICE, "connection.autoconnect", "no",
        "ipv4.method", "manual", "ipv4.addresses", "192.0.2.9/24,192.0.2.10/24",
        "ipv4.gateway", GATEWAY,
        "ipv4.routes", "198.51.100.0/24 192.0.2.2 50, 203.0.113.0/24 192.0.2.3",
        "ipv4.dns", "192.0.2.1,192.0.2.2", "ipv6.method", "disabled",
    )  # fmt: skip

    def install(self, root: Path) -> None:
        pass  # it takes every card

    def state(self, host: Host) -> Any:
        fields = "UUID,NAME,TYPE,AUTOCONNECT,DEVICE"
        lines = host.run("nmcli", "-g", fields, "connection").stdout.splitlines()
        return [each for each in lines if each.endswith(f":{DEVICE}") or "multipass" in each]

    @contextmanager
    def by_hand(self, host: Host) -> Iterator[None]:
        field = "GENERAL.CON-UUID"
        former = host.run("nmcli", "-g", field, "device", "show", DEVICE).stdout.strip()
        host.run("nmcli", "connection", "add", "save", "no", "con-name", "fixed", *self.FIXED)
        host.run("nmcli", "connection", "up", "fixed")
        yield
        host.run("nmcli", "connection", "up", former, "ifname", DEVICE)
        host.run("nmcli", "connection", "delete", "fixed")


class Networkd:
    """Its file as netplan writes it, and a drop-in."""

    unit = "systemd-networkd.service"
    FILE = f"etc/systemd/network/10-netplan-{DEVICE}.network"
    MATCH = f"[Match]\nName={DEVICE}\n\n[Link]\nMTUBytes=1400\n\n[Network]\n"
    DHCP = MATCH + (
        "DHCP=ipv4\nLinkLocalAddressing=ipv6\nKeepConfiguration=yes\n\n"
        "[DHCP]\nRouteMetric=100\nUseMTU=true\n"
    )
    MORE = "[DHCPv4]\nRouteMetric=55\n"  # which routes show
    FIXED = MATCH + (
        f"Address=192.0.2.9/24\nAddress=192.0.2.10/24\nGateway={GATEWAY}\n"
        "[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.2\nMetric=50\n"
        "[Route]\nDestination=203.0.113.0/24\n# by\nGateway = \\\n192.0.2.3\n"
    )

    def install(self, root: Path) -> None:
        for words in (("mask", "NetworkManager"), ("enable", "systemd-networkd")):
            in_root(root, "systemctl", *words)
        drop_ins = root / f"{self.FILE}.d"
        drop_ins.mkdir(parents=True)
        (root / self.FILE).write_text(self.DHCP)
        (drop_ins / "more.conf").write_text(self.MORE)

    def state(self, host: Host) -> Any:
        said = json.loads(host.run("networkctl", "--json=short", "status", DEVICE).stdout)
        keys = ("AdministrativeState", "NetworkFile", "NetworkFileDropins", "MTU", "DHCPv4Client")
        (said.get("DHCPv4Client") or {}).pop("Lease", None)  # its times
        ours = host.run("find", "/run/systemd/network", "-name", "*multipass*").stdout
        return [said.get(key) for key in keys], ours

    def client(self, host: Host, device: str) -> Any:
        """What a DHCP server knows the device by."""
        said = json.loads(host.run("networkctl", "--json=short", "status", device).stdout)
        return said["DHCPv4Client"]["ClientIdentifier"]

    def by_hand(self, host: Host) -> AbstractContextManager[None]:
        return self.saying(host, self.FIXED, "")

    def as_before_but(self, host: Host, more: str) -> AbstractContextManager[None]:
        return self.saying(host, self.DHCP, self.MORE + more)

    @contextmanager
    def saying(self, host: Host, text: str, more: str) -> Iterator[None]:
        self._write(host, text, more)
        yield
        self._write(host, self.DHCP, self.MORE)

    def _write(self, host: Host, text: str, more: str) -> None:
        host.inside(f"/{self.FILE}").write_text(text)
        host.inside(f"/{self.FILE}.d/more.conf").write_text(more)
        host.run("networkctl", "reload")
