"""On a real Debian 13: an instance of 1.16 is taken over, runs in a unit and goes through a file.

One test, as each step stands on the one before and a boot of a guest takes 20 s.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from multipassd.cloudinit import seed, ssh_keys, userdata
from multipassd.cloudinit.seed import Interface, Seed
from tests.instances.test_migration import MAC, rsa_key
from tests.multipassd.migration.old_vault import BIOS_IMAGE, OldVault
from tests.system.guests import in_guest, state
from tests.system.host import Host, new_host
from tools import cloudimage

MACHINES = "/var/lib/multipassd/machines"
FILE = "/srv/foo.export"
# KVM does not work in a container, and trying it takes time.
DROP_IN = "[Service]\nEnvironment=MULTIPASS_ACCELERATOR=tcg\n"

pytestmark = pytest.mark.host


@pytest.fixture
def host() -> Iterator[Host]:
    with new_host(kind="instances") as one:
        login = rsa_key()
        old = OldVault(one.root / "srv/old", login.private)
        old.add("foo", base=cloudimage.kept(), file=BIOS_IMAGE, mac_addr=MAC, mem_size="160M")
        data = userdata.merge({}, "foo", (login.public,), ssh_keys.make(), "UTC")
        files = seed.files(Seed("foo", "foo", data, (Interface(MAC),)))
        old.seed("foo", **{name.replace("-", "_"): text for name, text in files.items()})
        one.drop_in(DROP_IN)
        # As udev has it, which containers lack.
        (one.root / "etc/tmpfiles.d/tun.conf").write_text("z /dev/net/tun 0666\n")
        one.boot()
        yield one
        shutil.rmtree(old.data, ignore_errors=True)


def test_an_instance_of_1_16_runs_in_a_unit_and_goes_through_a_file(host: Host) -> None:
    assert "foo" in host.run("multipass-migrate", "list", "--from", "/srv/old").stdout
    taken = host.run("multipass-migrate", "take", "--all", "--from", "/srv/old").stdout
    assert taken == "foo: taken over.\n"
    modes = host.run("stat", "-c", "%a %U %G", f"{MACHINES}/foo/disk.qcow2", f"{MACHINES}/foo")
    assert modes.stdout == "660 root multipass-vm\n2750 root multipass-vm\n"
    host.run("multipass", "start", "foo")
    assert state(host) == "Running" and in_guest(host, "hostname") == "foo\n"
    host.run("multipass", "stop", "foo")
    host.run("multipass", "export", "foo", FILE)
    assert host.run("stat", "-c", "%a %U", FILE).stdout == "600 root\n"
    host.run("multipass", "delete", "--purge", "foo")
    host.run("multipass", "import", "--as-is", FILE)
    assert host.run("ls", MACHINES).stdout == "foo\n"
    host.run("multipass", "set", "local.foo.name=bar")
    host.run("multipass", "import", FILE)
    assert host.run("ls", MACHINES).stdout == "bar\nfoo\n"
