from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from pycdlib import PyCdlib

from multipassd.cloudinit import seed
from multipassd.cloudinit.seed import Interface, Seed

# One that YAML 1.1 would read as a number of base sixty.
FIRST = "52:54:00:12:34:56"
SEED = Seed("foo", "foo-0123", "#cloud-config\nhostname: foo\n", (Interface(FIRST),))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "seed.iso"
    seed.write(path, SEED)
    return path


def network(*interfaces: Interface) -> dict[str, Any]:
    made = seed.files(Seed("foo", "foo-0123", "", interfaces))["network-config"]
    loaded: dict[str, Any] = yaml.safe_load(made)
    return loaded


def test_a_guest_finds_the_four_files_under_their_names(disk: Path) -> None:
    iso = PyCdlib()
    iso.open(str(disk))
    found = {}
    for name in seed.files(SEED):
        content = BytesIO()
        iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
        found[name] = content.getvalue()
    assert found == seed.files(SEED)
    assert iso.pvd.volume_identifier.strip() == b"cidata"
    iso.close()


def test_the_hypervisor_s_user_reads_it_and_does_no_more_and_others_do_not(disk: Path) -> None:
    assert disk.stat().st_mode & 0o777 == 0o640


def test_the_identity_is_the_instance_s_own() -> None:
    assert yaml.safe_load(seed.files(SEED)["meta-data"]) == {
        "instance-id": "foo-0123",
        "local-hostname": "foo",
    }


def test_a_card_is_known_by_its_address_whatever_it_is_called() -> None:
    (card,) = network(Interface(FIRST))["ethernets"].values()
    assert card["match"] == {"macaddress": FIRST}
    assert card["dhcp4"] is True
    assert "optional" not in card


def test_further_cards_hold_up_no_boot_and_take_no_route() -> None:
    cards = network(Interface(FIRST), Interface("52:54:00:00:00:01", optional=True))["ethernets"]
    assert list(cards) == ["default", "extra0"]
    assert cards["extra0"]["optional"] is True
    assert cards["extra0"]["dhcp4-overrides"]["route-metric"] > 100
