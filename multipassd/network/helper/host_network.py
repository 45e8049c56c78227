"""The instances' network on this host: bridge, DHCP and DNS, packet filter, forwarding.

It is set up when the first instance needs it and taken down after the last. Only what the kernel
does not know is in files, all in one directory, so a service that was killed resumes its work."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from multipassd.network import bridge, interfaces, reservations
from multipassd.network import subnet as subnets
from multipassd.network.bridge import BRIDGE
from multipassd.network.helper import closing, firewall, firewall_probe, forwarding
from multipassd.network.helper.dnsmasq import Dnsmasq
from multipassd.network.helper.state_file import State, unwritable
from multipassd.network.helper.watch import BridgeWatch
from multipassd.network.reservations import NoAddress, Reservation
from multipassd.network.tools import NetworkFailure
from multipassd.network.troubles import Troubles
from multipassd.network.uplinks.registry import Uplinks
from multipassd.system import log

MAINTENANCE = "the network's maintenance"  # a topic of problems

_log = log.get("network")


class HostNetwork:
    """All that the helper changes on the host for instances' network cards."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._dnsmasq: Dnsmasq | None = None
        self._state = State(directory)
        self._uplinks = Uplinks(directory)
        self._troubles = Troubles(directory)
        self._watch = BridgeWatch(self._troubles)

    @property
    def subnet(self) -> IPv4Network | None:
        """The instances', if they were ever given one."""
        return self._state.subnet

    @property
    def used(self) -> bool:
        """Is an instance connected, or a change of a host's device still to be undone?"""
        return bool(bridge.taps()) or self._uplinks.unfinished

    def resume(self) -> None:
        """Continue with what an earlier service left. Raises NetworkFailure."""
        if self._taps():
            self._maintain()
        elif bridge.exists(BRIDGE):
            self.down()
        if keeper := self._other_keeper():
            _log.warning("%s", keeper)

    def _other_keeper(self) -> str:
        """A sentence that names the bridge's owner; empty if that is this service."""
        owner = bridge.owner()
        if not owner and (others := bridge.others()):
            return (
                f"The bridge {BRIDGE} was made by another program, whose devices are on it: "
                f"{', '.join(others)}. Multipass 1.16 names its bridge so, too: please stop its "
                f"instances and end it, remove the bridge (`ip link delete {BRIDGE}`), then try "
                "again."
            )
        if owner in ("", bridge.signature(self._directory)):
            return ""
        return (
            f"The bridge {BRIDGE} is another Multipass service's, which keeps it for {owner}. One "
            "service at a time can have it: purge or stop the instances of the other, end it, then "
            "try again."
        )

    def _taps(self) -> list[str]:
        """Of guests that belong on our bridge, also while there is no bridge."""
        reserved = {bridge.tap_name(mac) for mac in reservations.read(self._directory)}
        on_it = set() if self._other_keeper() else set(bridge.members(BRIDGE))
        return [tap for tap in bridge.taps() if tap in reserved or tap in on_it]

    def attach(self, name: str, mac: str, user: str) -> str:
        """Connect an instance; returns its address. Raises NetworkFailure; then nothing has
        changed."""
        fresh = not self._taps()
        tap = bridge.tap_name(mac)
        try:
            self.up()
            address = self._reserve(name, mac)
            bridge.add_tap(tap, BRIDGE, user)
            self._try_firewall(tap, address)
        except NetworkFailure:
            bridge.remove_tap(tap)
            if fresh:
                self.down()
            raise
        return str(address)

    def _try_firewall(self, tap: str, address: IPv4Address) -> None:
        """Raises NetworkFailure if the guest could not be reached."""
        assert self._state.subnet is not None
        outside = bool(forwarding.ways_out())
        gateway = subnets.gateway(self._state.subnet)
        passage = firewall_probe.attempt(tap, BRIDGE, address, gateway, outside)
        if passage.dhcp is None:
            _log.info("what the firewall does with instances' packets could not be tried")
        firewall.refuse_closed(passage, BRIDGE)
        self._troubles.report("firewall", firewall.warning(passage, BRIDGE))

    def attach_to(self, other: str, mac: str, user: str) -> None:
        """Connect a further card of an instance to a bridge of the host's, or to an ethernet device
        that has one. Raises NetworkFailure."""
        self.repair()
        found = {each.name: each for each in interfaces.read()}.get(other)
        if found is None:
            raise NetworkFailure(
                f"There is no network {other} on this host now. `multipass networks` shows which "
                "there are."
            )
        at = other if found.type == interfaces.BRIDGE else found.bridge
        if not at and self._uplinks.permitted(other):
            at = self._uplinks.make(other)  # it was removed since, e.g. by a boot
        if not at:
            raise NetworkFailure(
                f"The bridge that connected instances to {other} is gone. Please make one again, "
                f"with {other} in it, by the host's network configuration."
            )
        self._uplinks.attach(other, mac)
        bridge.add_tap(bridge.tap_name(mac), at, user)

    def bridge(self, device: str) -> str:
        """Make an ethernet device a port of a bridge; returns the bridge's name. It stays so, over
        boots too as far as instances need it, until the last of these is purged. Raises
        NetworkFailure; then nothing has changed."""
        self.repair()
        found = {each.name: each for each in interfaces.read()}.get(device)
        if found is None or found.type != interfaces.ETHERNET:
            raise NetworkFailure(f"{device} is no ethernet device of this host.")
        return found.bridge or self._uplinks.make(device)

    def clean_up(self) -> None:
        """Remove bridges on devices that no instance uses, as after a failed launch. Raises
        NetworkFailure."""
        self._uplinks.release()

    def repair(self) -> None:
        """Undo interrupted changes of the host's devices. Raises NetworkFailure."""
        self._uplinks.repair()

    def detach(self, mac: str) -> None:
        """Raises NetworkFailure."""
        bridge.remove_tap(bridge.tap_name(mac))

    def release(self, mac: str) -> None:
        """The instance was purged: its address may be given to another. Raises NetworkFailure."""
        self.detach(mac)
        known = reservations.read(self._directory)
        if known.pop(mac.lower(), None) is not None:
            self._save_reservations(known)
        self._uplinks.release(mac.lower())

    def up(self) -> None:
        """Set up what is missing. Raises NetworkFailure."""
        if keeper := self._other_keeper():
            raise NetworkFailure(keeper)
        runs = self._dnsmasq is not None and self._dnsmasq.runs and bridge.exists(BRIDGE)
        if runs and self._state.subnet is not None and not bridge.fault(self._state.subnet):
            return
        subnet = self._choose_subnet()
        bridge.make(subnet, bridge.signature(self._directory))
        self._open_forwarding()
        firewall.apply(BRIDGE, subnet, self._state.opened - {BRIDGE})
        if not runs:
            self._restart_dnsmasq(subnet)

    def _restart_dnsmasq(self, subnet: IPv4Network) -> None:
        """As it does not follow a bridge that was made again. Raises NetworkFailure."""
        self._save_reservations(reservations.read(self._directory))  # dnsmasq requires the file
        if self._dnsmasq is not None:
            self._dnsmasq.stop()
        self._drop_leases()
        self._dnsmasq = Dnsmasq(BRIDGE, subnet, self._directory)
        self._dnsmasq.start()
        _log.info("instances are on %s, by the bridge %s", subnet, BRIDGE)

    def down(self) -> None:
        """Remove all but the files with the subnet and the reserved addresses. The network of
        another service is left alone. Never fails."""
        if self._other_keeper():
            return
        if self._dnsmasq is not None:
            self._dnsmasq.stop()
            self._dnsmasq = None
            self._drop_leases()
        if bridge.exists(BRIDGE):
            _log.info("no instance is connected: %s goes", BRIDGE)
        forwarding.close_for(self._state.opened - {BRIDGE})
        self._state.opened = set()
        self._troubles.clear()
        for step in (bridge.remove, firewall.remove, self._state.save):
            try:
                step()
            except NetworkFailure as error:
                _log.warning("%s", error)

    def dismantle(self) -> None:
        """The package is removed: undo the changes of the host's own devices, too."""
        self._uplinks.dismantle()
        self.down()
        closing.open_again()

    def close(self) -> None:
        """The service ends: take down all that no instance uses."""
        if not self.used:
            self.down()
        elif self._dnsmasq is not None:
            self._dnsmasq.stop()

    def maintain(self) -> None:
        """Repair what others changed; to be called every few seconds. Logs each problem once. Never
        fails."""
        try:
            self._maintain()
            self._troubles.report(MAINTENANCE, "")
        except (NetworkFailure, OSError) as error:
            self._troubles.report(MAINTENANCE, str(error))

    def _maintain(self) -> None:
        """Raises NetworkFailure, OSError."""
        if taps := self._taps():
            if self._state.subnet is None:
                self.up()
            assert self._state.subnet is not None
            self._watch.inspect(self._state.subnet, taps, self.up)
            if self._open_forwarding() or not firewall.applied():
                firewall.apply(BRIDGE, self._state.subnet, self._state.opened - {BRIDGE})
        self.repair()

    def _open_forwarding(self) -> bool:
        """Let the bridge and the devices of default routes forward; did anything change? Raises
        NetworkFailure."""
        before = set(self._state.opened)
        try:
            closed: set[str] = set()
            if forwarding.everywhere():
                self._state.opened = set()  # also if an administrator has switched it on since
            else:
                closed = forwarding.closed({BRIDGE, *forwarding.ways_out()})
                self._state.opened |= closed
            changed = self._state.opened != before
            if changed:
                self._state.save()  # first: a kill in between must not leave the host a router
            forwarding.open_for(closed)
        except OSError as error:
            raise NetworkFailure(f"Forwarding can't be switched on: {error}.") from None
        return changed

    def _choose_subnet(self) -> IPv4Network:
        """Raises NetworkFailure."""
        if self._state.subnet is not None and self._taps():
            return self._state.subnet  # guests have addresses of it
        try:
            chosen = subnets.choose(self._state.subnet, bridge.routes())
        except subnets.NoSubnet:
            raise NetworkFailure(
                "No private subnet is free for instances: routes of this host lead into all that "
                "were tried. `ip route show table all` shows them."
            ) from None
        if chosen != self._state.subnet:
            self._state.subnet = chosen
            self._save_reservations({})  # addresses of another subnet are of no use
            self._state.save()
        return chosen

    def _reserve(self, name: str, mac: str) -> IPv4Address:
        """The instance's address, chosen now if it has none. Raises NetworkFailure."""
        assert self._state.subnet is not None and self._dnsmasq is not None
        known = reservations.read(self._directory)
        found = known.get(mac)
        if found is None or found.name != name or found.address not in self._state.subnet:
            others = [each for each in known.values() if each.mac != mac]
            leases = reservations.leased(self._directory)
            try:
                address = reservations.choose(self._state.subnet, mac, others, leases)
            except NoAddress:
                raise NetworkFailure(
                    f"All addresses of the subnet {self._state.subnet} are taken by instances. "
                    "Please purge some that are no longer needed."
                ) from None
            found = known[mac] = Reservation(mac, address, name)
            self._save_reservations(known)
            self._dnsmasq.read_reservations()
        return found.address

    # -- files ------------------------------------------------------------------------------------

    def _drop_leases(self) -> None:
        """Of instances that are purged. dnsmasq must not run. Raises NetworkFailure."""
        try:
            reservations.drop_leases(self._directory, reservations.read(self._directory))
        except OSError as error:
            raise unwritable(self._directory, error) from None

    def _save_reservations(self, known: dict[str, Reservation]) -> None:
        """Raises NetworkFailure."""
        try:
            reservations.write(self._directory, known)
        except OSError as error:
            raise unwritable(self._directory, error) from None
