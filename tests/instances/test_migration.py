"""An instance of Multipass 1.16, taken over while the service runs, boots and is logged in to.

One test, as each step stands on the one before and a boot of a guest takes 10 s.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from multipassd.cloudinit import seed, ssh_keys, userdata
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.cloudinit.ssh_keys import SshKey
from tests.instances.site import Site
from tests.multipassd.migration.old_vault import BIOS_IMAGE, OldVault
from tools import cloudimage
from tools.sandbox import CHECKOUT

MAC = "52:54:00:12:34:56"


def rsa_key() -> SshKey:
    """As 1.16 makes it."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return SshKey(private, public.decode())


@pytest.fixture(scope="module")
def host_key() -> SshKey:
    return ssh_keys.make()


@pytest.fixture(scope="module")
def taken(shared: Site, host_key: SshKey) -> Site:
    """With foo, whose disk has a snapshot of its first state."""
    login = rsa_key()
    old = OldVault(shared.sandbox.root / "old", login.private)
    old.add("foo", base=cloudimage.kept(), file=BIOS_IMAGE, mac_addr=MAC, mem_size="160M", state=4)
    data = userdata.merge({}, "foo", (login.public,), host_key, "UTC")
    files = seed.files(Seed("foo", "foo", data, (Interface(MAC),)))
    old.seed("foo", **{name.replace("-", "_"): text for name, text in files.items()})
    place = old.directory("foo")
    subprocess.run(["qemu-img", "snapshot", "-c", "@s1", str(place / BIOS_IMAGE)], check=True)
    old.describe("foo", 1)
    done = migrate(shared, "take", "foo", "--from", str(old.data.parent))
    assert done == "foo: taken over.\n"
    shutil.rmtree(old.data)
    shared.wait_for(lambda: shared.state("foo") == "Stopped", "that the service notices it")
    return shared


def migrate(site: Site, *words: str) -> str:
    program = [str(CHECKOUT / "bin/multipass-migrate"), *words]
    environment = {"PATH": os.environ["PATH"], "MULTIPASS_STORAGE": str(site.storage)}
    done = subprocess.run(
        program, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def record(site: Site) -> dict[str, object]:
    text = Path(site.storage / "data/instances/foo.json").read_text("utf-8")
    found: dict[str, object] = json.loads(text)
    return found


def test_an_instance_of_1_16_goes_on_here(taken: Site, host_key: SshKey) -> None:
    it_boots_with_its_own_key_and_its_host_key_is_learned_once(taken, host_key)
    it_goes_on_after_a_suspension_and_a_restart_of_the_service(taken)
    its_snapshot_is_restored_and_it_gets_another_name(taken)


def it_boots_with_its_own_key_and_its_host_key_is_learned_once(
    taken: Site, host_key: SshKey
) -> None:
    assert record(taken)["host_key"] == ""
    taken.done("start", "foo")
    assert record(taken)["host_key"] == host_key.public
    assert taken.logged("so the host key that it shows now is taken as its own")
    assert taken.inside("foo", "hostname") == "foo"
    assert taken.inside("foo", "cat /sys/class/net/eth0/address; echo left > after") == MAC
    info = json.loads(taken.done("info", "foo", "--format", "json"))["info"]["foo"]
    assert info["image_hash"] == "0a" * 32 and info["image_release"] == "24.04 LTS"


def it_goes_on_after_a_suspension_and_a_restart_of_the_service(taken: Site) -> None:
    before = taken.boot_id("foo")
    taken.done("suspend", "foo")
    taken.kill_daemon()
    taken.done("start", "foo")
    assert taken.boot_id("foo") == before
    taken.done("stop", "foo")


def its_snapshot_is_restored_and_it_gets_another_name(taken: Site) -> None:
    assert "snapshot1" in taken.done("list", "--snapshots")
    assert taken.inside("foo", "cat after") == "left"
    taken.done("stop", "foo")
    taken.done("restore", "--destructive", "foo.snapshot1")
    taken.done("set", "local.foo.name=bar")
    assert taken.cli("exec", "bar", "--", "cat", "after").returncode == 1
    assert taken.inside("bar", "hostname") == "foo"  # which is the guest's own matter
    assert taken.states() == {"bar": "Running"} and taken.kept_of("foo") == []
    taken.done("stop", "bar")
