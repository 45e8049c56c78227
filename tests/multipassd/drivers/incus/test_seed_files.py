"""The seed of a container, made of that which each machine has."""

from __future__ import annotations

import yaml

from multipassd.cloudinit.seed import Interface, Seed, files
from multipassd.drivers.incus import requests

CARDS = (Interface("52:54:00:00:00:01"), Interface("52:54:00:00:00:02", optional=True))


def test_a_containers_cards_are_named_as_its_devices_are() -> None:
    """netplan compares a MAC address with that of the hardware, which a container's card lacks."""
    seed = files(Seed("foo", "foo-1", "#cloud-config\n", CARDS))
    place = f"{requests.SEED_PLACE}/network-config"
    network = yaml.safe_load(requests.seed_files(seed)[place])
    before = yaml.safe_load(seed["network-config"])
    assert list(network["ethernets"]) == ["eth0", "eth1"]
    for named, matched in zip(
        network["ethernets"].values(), before["ethernets"].values(), strict=True
    ):
        assert named == {key: value for key, value in matched.items() if key != "match"}


def test_the_rest_of_a_seed_stays_as_it_is() -> None:
    seed = files(Seed("foo", "foo-1", "#cloud-config\n", CARDS))
    made = requests.seed_files(seed)
    for name in ("user-data", "meta-data", "vendor-data"):
        assert made[f"{requests.SEED_PLACE}/{name}"] == seed[name]
