"""A network card of NetworkManager, as on most desktops, or of systemd-networkd, as on many
servers: it joins a bridge, keeps its address by DHCP, and is restored after any failure."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import waiting
from tests.system.host import Host, new_host
from tests.system.keepers import DEVICE, GATEWAY, Keeper, Networkd, NetworkManager
from tools import cloudimage
from tools.roots import CLEAN_ENVIRONMENT
from tools.terminal import Session, converse

BRIDGE = "br-lan0"
IMAGE = "/srv/tiny.qcow2"
SERVICE = "multipass-network.service"
# A device is given 25 s to get its address on a bridge, and as much to get it back.
SECONDS = 150.0
DESTINATIONS = {"default", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}  # by hand
MAC, TAP = "52:54:00:00:00:01", "mp-525400000001"
QUESTION = "Do you want to continue (yes/no)? "
ASKED = (
    f"Multipass needs to create a bridge to connect to {DEVICE}.\n"
    f"This will temporarily disrupt connectivity on that interface.\n\n{QUESTION}"
)
REFUSED = "launch failed: Missing bridges\nInvalid network options supplied\n"
LAUNCH = ("launch", "--name", "foo", "--memory", "160M", "--disk", "1G", f"file://{IMAGE}")
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect("/run/multipass_network")
    asked.sendall(sys.stdin.buffer.readline())
    print(asked.makefile().readline())
"""
DROP_IN = """
[Service]
Environment=MULTIPASS_ACCELERATOR=tcg
"""
# The world is at the other end of the cable. What is real has a device behind it, for which sysfs
# has a link that a veth's lacks; no container has anything real.
CABLE = f"""
set -e
ip netns add world
ip link add {DEVICE} address 02:00:00:00:00:05 type veth peer name far netns world
mkdir -p /run/real /run/card
mount --bind /sys/devices/virtual/net/{DEVICE} /run/real
mount --make-private /run/real
for one in /run/real/* brport device master; do ln -s /run/real/${{one##*/}} /run/card/; done
ln -sfn / /run/card/device
ln -s /sys/class/net/{BRIDGE} /run/  # where brport's link leads to from there
mount --bind /run/card /sys/devices/virtual/net/{DEVICE}
ip -n world address add {GATEWAY}/24 dev far
ip -n world link set far up
"""
NEIGHBOUR = f"""
set -e
ip netns add guest
ip link add guest master {BRIDGE} type veth peer name eth0 netns guest
ip link set guest up
ip -n guest address add 192.0.2.8/24 dev eth0
ip -n guest link set eth0 up
"""
# Refused is answered, too.
TALK = f"import socket; socket.socket().connect_ex(({GATEWAY!r}, 9)) == 111 or exit(1)"
DHCP = (
    "dnsmasq", "--conf-file=/dev/null", "--port=0", "--interface=far", "--user=root",
    "--dhcp-range=192.0.2.50,192.0.2.99,1h", "--dhcp-option=3,192.0.2.1",
    "--dhcp-leasefile=/run/world.leases", "--pid-file=/run/world.pid",
)  # fmt: skip
pytestmark = pytest.mark.host


@contextmanager
def new_host_by(keeper: Keeper) -> Iterator[Host]:
    with new_host(kind="network-manager") as booted:
        shutil.copyfile(cloudimage.kept(), f"{booted.root}{IMAGE}")
        place = booted.root / "etc/systemd/system/multipassd.service.d/test.conf"
        place.parent.mkdir(parents=True)
        place.write_text(DROP_IN)
        keeper.install(booted.root)
        booted.boot()
        lay_cable(booted)
        booted.run("multipass", "set", f"local.bridged-network={DEVICE}")
        yield booted


def test_a_card_with_its_address_by_dhcp_goes_to_a_bridge_and_back() -> None:
    keeper = NetworkManager()
    with new_host_by(keeper) as host:
        before = state(host, keeper)
        nobody_to_ask_is_a_refusal(host)
        no_is_a_refusal(host)
        ctrl_c_at_the_question_ends_it(host)
        assert state(host, keeper) == before
        what_goes_wrong_on_the_way_is_put_back(host)
        assert state(host, keeper) == before
        a_service_that_is_killed_on_the_way_puts_it_back(host)
        assert state(host, keeper) == before
        a_launch_that_fails_gives_it_back(host)
        assert state(host, keeper) == before
        a_connection_set_up_by_hand_moves_with_all_its_routes(host, keeper)
        assert state(host, keeper) == before
        a_guest_is_on_the_wire_after_yes(host)
        it_stays_over_a_pulled_cable_and_a_restart(host, keeper)
        the_last_instance_gives_it_back(host)
        assert state(host, keeper) == before
        a_bridge_of_the_hosts_own_is_joined(host)
        after_a_boot_it_is_made_again_for_who_needs_it(host)
        removing_the_package_gives_it_back(host)
        assert state(host, keeper) == before


def test_so_does_one_of_systemd_networkd() -> None:
    keeper = Networkd()
    with new_host_by(keeper) as host:
        before = state(host, keeper)
        what_a_bridge_cannot_take_over_is_refused(host, keeper)
        assert state(host, keeper) == before
        what_goes_wrong_on_the_way_is_put_back(host)
        assert state(host, keeper) == before
        a_service_that_is_killed_on_the_way_puts_it_back(host)
        assert state(host, keeper) == before
        a_connection_set_up_by_hand_moves_with_all_its_routes(host, keeper)
        assert state(host, keeper) == before
        the_bridge_is_the_same_client_of_dhcp_and_forwards(host, keeper)
        it_stays_over_a_pulled_cable_and_a_restart(host, keeper)
        the_last_card_to_go_gives_it_back(host)
        assert state(host, keeper) == before
        after_a_boot_it_is_made_again_for_who_needs_it(host)


def nobody_to_ask_is_a_refusal(host: Host) -> None:
    said = host.run("multipass", *LAUNCH, "--bridged", code=2).stdout
    assert said.startswith(REFUSED)
    assert_nothing_is_left(host)


def no_is_a_refusal(host: Host) -> None:
    for words, answers in (
        (("--network", DEVICE), [(QUESTION, "no")]),
        (("--bridged",), [(QUESTION, "perhaps"), ("Please answer yes/no: ", "N")]),
    ):
        session = at_a_terminal(host, (*LAUNCH, *words), answers)
        assert session.returncode == 2
        assert ASKED in session.output and REFUSED in session.output
        assert_nothing_is_left(host)


def ctrl_c_at_the_question_ends_it(host: Host) -> None:
    session = at_a_terminal(host, (*LAUNCH, "--bridged"), [(QUESTION, "\x03")])
    assert session.returncode == -signal.SIGINT, session
    assert_nothing_is_left(host)


def what_goes_wrong_on_the_way_is_put_back(host: Host) -> None:
    """The server of addresses is away just then, so that the bridge has none."""
    withhold_addresses(host)
    with asking(host, do="bridge", device=DEVICE) as asked:
        until(lambda: f"{DEVICE} is put back" in journal(host))
        serve_addresses(host)
        answer = json.loads(asked.communicate(timeout=SECONDS)[0])
    assert answer["error"].startswith(f"{DEVICE} did not get its address back on a bridge")


def a_service_that_is_killed_on_the_way_puts_it_back(host: Host) -> None:
    """The bridge waits for an address until then: else it might be there before the signal is."""
    withhold_addresses(host)
    with asking(host, do="bridge", device=DEVICE) as asked:
        until(lambda: DEVICE in members(host, BRIDGE))
        host.run("systemctl", "kill", "--signal=KILL", SERVICE)
        asked.communicate(timeout=SECONDS)
    serve_addresses(host)
    until(lambda: host.show(SERVICE, "NRestarts") == "1")
    until(lambda: stages(host) == {"permitted"})
    assert "was left on its way to a bridge" in journal(host)


def a_launch_that_fails_gives_it_back(host: Host) -> None:
    words = ("launch", "--name", "foo", "--bridged", "file:///srv/nothing.img")
    session = at_a_terminal(host, words, [(QUESTION, "yes")])
    assert session.returncode == 2, session
    assert_nothing_is_left(host)


def what_a_bridge_cannot_take_over_is_refused(host: Host, keeper: Networkd) -> None:
    before = state(host, keeper)
    with keeper.as_before_but(host, "[Network]\nVLAN=lan5\n"):
        assert "(VLAN=lan5)" in ask(host, do="bridge", device=DEVICE)["error"]
    until(lambda: state(host, keeper) == before)
    host.run("mkdir", "-p", f"/run/wpa_supplicant/{DEVICE}")
    assert "802.1X" in ask(host, do="bridge", device=DEVICE)["error"]
    host.run("rmdir", f"/run/wpa_supplicant/{DEVICE}")


def a_connection_set_up_by_hand_moves_with_all_its_routes(host: Host, keeper: Keeper) -> None:
    dynamic = state(host, keeper)
    with keeper.by_hand(host):
        until(lambda: addresses(host, DEVICE) == {"192.0.2.9", "192.0.2.10"})
        until(lambda: {each["dst"] for each in routes(host, DEVICE)} == DESTINATIONS)
        before = routes(host, DEVICE)
        assert ask(host, do="bridge", device=DEVICE) == {"done": BRIDGE}
        assert routes(host, BRIDGE) == before and routes(host, DEVICE) == []
        assert addresses(host, BRIDGE) == {"192.0.2.9", "192.0.2.10"}
        assert ask(host, do="tidy") == {"done": None}
        assert routes(host, DEVICE) == before
    until(lambda: state(host, keeper) == dynamic)


def a_guest_is_on_the_wire_after_yes(host: Host) -> None:
    address = addresses(host, DEVICE)
    began = time.monotonic()
    words = (*LAUNCH, "--network", f"name={DEVICE},mac={MAC}")
    session = at_a_terminal(host, words, [(QUESTION, "YES")])
    assert session.returncode == 0, session
    print(f"\nlaunched in {time.monotonic() - began:.1f} s")
    assert addresses(host, BRIDGE) == address and addresses(host, DEVICE) == set()
    assert members(host, BRIDGE) == {DEVICE, TAP}
    said = host.run("multipass", "networks", "--format", "json").stdout
    shown = {each["name"]: each["description"] for each in json.loads(said)["list"]}
    assert shown[BRIDGE] == f"Network bridge with {DEVICE}"
    # Only over the wire: the guest's first card is on a bridge that leads nowhere near.
    until(lambda: len(guests_addresses(host)) == 1)
    (given,) = guests_addresses(host)
    talk = f"import socket; socket.create_connection(({given!r}, 22), 9)"
    # Which the guest was offered, and is about to take.
    until(lambda: world_runs(host, "python3", "-c", talk))
    assert host.exposure(SERVICE) < 3.0


def the_bridge_is_the_same_client_of_dhcp_and_forwards(host: Host, keeper: Networkd) -> None:
    client, address = keeper.client(host, DEVICE), addresses(host, DEVICE)
    assert ask(host, do="bridge", device=DEVICE) == {"done": BRIDGE}
    assert "done" in ask(host, do="attach_to", to=DEVICE, mac=MAC, user="root")
    assert client and keeper.client(host, BRIDGE) == client
    assert addresses(host, BRIDGE) == address and addresses(host, DEVICE) == set()
    host.run("sh", "-c", NEIGHBOUR)
    host.run("nsenter", "--net=/run/netns/guest", "python3", "-c", TALK)
    host.run("ip", "netns", "delete", "guest")
    until(lambda: members(host, BRIDGE) == {DEVICE, TAP})


def the_last_card_to_go_gives_it_back(host: Host) -> None:
    assert "done" in ask(host, do="forget", mac=MAC)
    assert_nothing_is_left(host)


def it_stays_over_a_pulled_cable_and_a_restart(host: Host, keeper: Keeper) -> None:
    address = addresses(host, BRIDGE)
    host.run("ip", "-n", "world", "link", "set", "far", "down")
    host.run("systemctl", "restart", keeper.unit)
    host.run("ip", "-n", "world", "link", "set", "far", "up")
    host.run("systemctl", "restart", SERVICE)
    until(lambda: addresses(host, BRIDGE) == address and DEVICE in members(host, BRIDGE))


def the_last_instance_gives_it_back(host: Host) -> None:
    host.run("multipass", "delete", "--purge", "foo")
    assert_nothing_is_left(host)


def a_bridge_of_the_hosts_own_is_joined(host: Host) -> None:
    """What the refusal of a card that cannot be bridged advises."""
    host.run("ip", "link", "add", "br0", "type", "bridge")
    assert "done" in ask(host, do="attach_to", to="br0", mac=MAC, user="root")
    assert members(host, "br0") == {TAP}
    assert "done" in ask(host, do="forget", mac=MAC)
    assert "br0" in links(host)
    host.run("ip", "link", "delete", "br0")


def after_a_boot_it_is_made_again_for_who_needs_it(host: Host) -> None:
    assert ask(host, do="bridge", device=DEVICE) == {"done": BRIDGE}
    assert "done" in ask(host, do="attach_to", to=DEVICE, mac=MAC, user="root")
    host.stop()
    host.boot()
    lay_cable(host)
    host.run("systemctl", "start", "multipass-network.socket")  # as the daemon's start does
    assert BRIDGE not in links(host)
    assert "done" in ask(host, do="attach_to", to=DEVICE, mac=MAC, user="root")
    assert members(host, BRIDGE) == {DEVICE, TAP}


def removing_the_package_gives_it_back(host: Host) -> None:
    host.run("dpkg", "--purge", "multipass")
    until(lambda: BRIDGE not in links(host) and bool(addresses(host, DEVICE)))
    host.run("test", "-e", "/var/lib/multipass-network", code=1)


# -- what the host is like ------------------------------------------------------------------------


def assert_nothing_is_left(host: Host) -> None:
    assert json.loads(host.run("multipass", "list", "--format", "json").stdout) == {"list": []}
    assert BRIDGE not in links(host)
    assert addresses(host, DEVICE)
    assert stages(host) <= {"permitted"}


def state(host: Host, keeper: Keeper) -> Any:
    """All that a bridge would change."""
    bridges = {each for each in links(host) if each.startswith("br")}
    return addresses(host, DEVICE), routes(host, DEVICE), keeper.state(host), bridges


def routes(host: Host, device: str) -> list[Any]:
    shown = json.loads(host.run("ip", "-json", "-4", "route", "show", "dev", device).stdout or "[]")
    return [{key: value for key, value in each.items() if key != "flags"} for each in shown]


def addresses(host: Host, device: str) -> set[str]:
    shown = json.loads(host.run("ip", "-json", "-4", "address", "show", "dev", device).stdout)
    return {each["local"] for entry in shown for each in entry.get("addr_info", ())}


def links(host: Host) -> set[str]:
    lines = host.run("ip", "-brief", "link").stdout.splitlines()
    return {line.split()[0].partition("@")[0] for line in lines}


def members(host: Host, bridge: str) -> set[str]:
    place = host.inside(f"/sys/class/net/{bridge}/brif")
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


def stages(host: Host) -> set[str]:
    place = Path(f"{host.root}/var/lib/multipass-network/bridges.json")
    return {each["stage"] for each in json.loads(place.read_text())} if place.exists() else set()


def guests_addresses(host: Host) -> list[str]:
    lines = [line.split() for line in host.run("cat", "/run/world.leases").stdout.splitlines()]
    return [words[2] for words in lines if len(words) > 2 and words[1] == MAC]


def world_runs(host: Host, *command: str) -> bool:
    return host.run("ip", "netns", "exec", "world", *command, code=None).returncode == 0


def lay_cable(host: Host) -> None:
    host.run("chmod", "666", "/dev/net/tun")  # as udev has it, which containers lack
    host.run("sh", "-c", CABLE)
    serve_addresses(host)
    until(lambda: bool(addresses(host, DEVICE)))


def serve_addresses(host: Host) -> None:
    # Not by `ip netns exec`: with mounts of its own it would hold up the host's shutdown.
    host.run("nsenter", "--net=/run/netns/world", *DHCP)


def withhold_addresses(host: Host) -> None:
    """Returns when the server is gone: a signal is obeyed at leisure."""
    pid = host.run("cat", "/run/world.pid").stdout.strip()
    host.run("kill", pid)
    until(lambda: host.run("test", "-d", f"/proc/{pid}", code=None).returncode != 0)


def ask(host: Host, **request: str) -> Any:
    said = host.run("python3", "-c", ASK, given=json.dumps(request) + "\n").stdout
    return json.loads(said or "{}")


@contextmanager
def asking(host: Host, **request: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*host.entering(), "python3", "-c", ASK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        yield process


def journal(host: Host) -> str:
    return host.journal("-u", SERVICE)


def at_a_terminal(host: Host, words: tuple[str, ...], answers: list[tuple[str, str]]) -> Session:
    command = [*host.entering(), "multipass", *words]
    environment = {**CLEAN_ENVIRONMENT, "TERM": "xterm"}
    return converse(command, answers, environment, timeout=2 * SECONDS, interruptible=True)


def until(true: Callable[[], bool]) -> None:
    waiting.until(true, seconds=SECONDS, every=0.1)
