"""The seed of a clone, from that of its source."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from multipassd.cloudinit import clone_seed, seed, userdata, vendor_data
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.cloudinit.ssh_keys import make
from multipassd.cloudinit.userdata import UserDataError

KEY, NEW_KEY = make(), make()
CARD, NEW_CARD = Interface("52:54:00:00:00:01"), Interface("52:54:00:00:00:02")
SCRIPT = "#!/bin/sh\necho 'ä'\n\n--x--\n"
AUTHORITY = 'cert-authority,principals="ubuntu@{}" ssh-ed25519 AAAA multipass-certificates'
LINE, NEW_LINE = AUTHORITY.format("old-1"), AUTHORITY.format("new-1")
AUTHORISED = ("ssh-ed25519 AAAAservice", LINE)

CLONE = CloneSeed("new", "new-1", NEW_KEY, (NEW_CARD,), NEW_LINE)


def source(text: str) -> dict[str, bytes]:
    merged = userdata.merge(userdata.checked(text), "old", AUTHORISED, KEY, "Asia/Tokyo")
    return seed.files(Seed("old", "old-1", merged, (CARD,)))


def user_data(text: str) -> dict[str, object]:
    made = clone_seed.files(source(text), CLONE)["user-data"].decode()
    loaded: dict[str, object] = yaml.safe_load(made)
    return loaded


def test_what_tells_a_clone_apart_is_new() -> None:
    made = clone_seed.files(source(""), CLONE)
    assert yaml.safe_load(made["meta-data"]) == {"instance-id": "new-1", "local-hostname": "new"}
    (card,) = yaml.safe_load(made["network-config"])["ethernets"].values()
    assert card["match"] == {"macaddress": NEW_CARD.mac}
    config = user_data("")
    assert config["hostname"] == "new"
    assert config["ssh_keys"] == userdata.host_keys(NEW_KEY)
    assert b"old" not in b"".join(made.values())
    assert KEY.private not in made["user-data"]


def test_the_rest_is_as_its_source_s() -> None:
    text = "hostname: a\nfqdn: a.example.org\nruncmd: [reboot]\nssh_keys: {rsa_public: x}\n"
    config = user_data(text)
    assert (config["hostname"], config["fqdn"]) == ("new", "new.example.org")
    assert (config["runcmd"], config["timezone"]) == (["reboot"], "Asia/Tokyo")
    assert config["ssh_keys"] == userdata.host_keys(NEW_KEY), "no host key is shared"


@pytest.mark.parametrize("text", [SCRIPT, f"## template: jinja\n#cloud-config\nx: {KEY.public}\n"])
def test_parts_of_the_user_s_stay_word_for_word(text: str) -> None:
    before = source(text)
    made = clone_seed.files(before, CLONE)["user-data"].decode()
    again = CloneSeed("old", "old-1", KEY, (CARD,), LINE)
    back = clone_seed.files({**before, "user-data": made.encode()}, again)["user-data"]
    assert back == before["user-data"]
    assert made.count("hostname: new\n") == 1 and "hostname: old" not in made


@pytest.mark.parametrize("text", ["#!/bin/sh\n", "Content-Type: multipart/mixed\n\n", "a: [\n"])
def test_what_the_service_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(UserDataError):
        clone_seed.files({"user-data": text.encode()}, CLONE)


def test_a_seed_of_1_16_is_taken_with_its_vendor_data() -> None:
    """Which has the key that the service logs in by; the user data may be missing."""
    vendor = b"#cloud-config\nssh_authorized_keys: [ssh-rsa AAAA]\n"
    made = clone_seed.files({"meta-data": b"instance-id: old\n", "vendor-data": vendor}, CLONE)
    assert vendor in made["vendor-data"]
    config = yaml.safe_load(made["user-data"])
    assert config == {"hostname": "new", "ssh_keys": userdata.host_keys(NEW_KEY)}


def test_a_card_that_is_added_to_a_clone_leaves_it_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.iso", tmp_path / "new.iso"
    seed.write(old, Seed("old", "old-1", source("")["user-data"].decode(), (CARD,)))
    clone_seed.write(old, new, CLONE)
    seed.add_interfaces(new, (NEW_CARD, CARD))
    text = seed.read(new)["vendor-data"].decode()
    assert text.count(vendor_data.RENEWAL) == 1 and "boot-new-instance" in text
    clone_seed.write(new, old, CLONE)
    assert seed.read(old)["vendor-data"].decode() == text


@pytest.mark.parametrize("text", ["", SCRIPT, "users: [{name: ubuntu, ssh_authorized_keys: k}]\n"])
def test_certificates_for_the_source_are_not_good_for_the_clone(tmp_path: Path, text: str) -> None:
    old, new = tmp_path / "old.iso", tmp_path / "new.iso"
    seed.write(old, Seed("old", "old-1", source(text)["user-data"].decode(), (CARD,)))
    assert clone_seed.write(old, new, CLONE)
    made = seed.read(new)["user-data"].decode()
    assert NEW_LINE in made and LINE not in made
    assert made.count(NEW_LINE) == source(text)["user-data"].decode().count(LINE)


def test_the_clone_of_an_instance_from_before_certificates_lets_them_in(tmp_path: Path) -> None:
    old, new = tmp_path / "old.iso", tmp_path / "new.iso"
    text = userdata.merge({}, "old", ("ssh-ed25519 AAAA",), KEY, "")
    seed.write(old, Seed("old", "old-1", text, (CARD,)))
    assert clone_seed.write(old, new, CLONE)


def test_a_seed_of_1_16_is_told_to_let_no_certificate_in(tmp_path: Path) -> None:
    old, new = tmp_path / "old.iso", tmp_path / "new.iso"
    seed.write(old, Seed("old", "old-1", "#cloud-config\nhostname: old\n", (CARD,)))
    assert not clone_seed.write(old, new, CLONE)
