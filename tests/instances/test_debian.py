"""What the tiny image cannot prove: systemd, netplan and the real cloud-init take our seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.instances.site import Site
from tools import debianimage, roots

pytestmark = pytest.mark.very_slow
BOOT_SECONDS = 900  # emulated, on a machine where other tests run too
patient = pytest.mark.timeout(2 * BOOT_SECONDS)  # the image may have to be built first
CLOUD_INIT = """\
timezone: Asia/Tokyo
users:
- default
- {name: bob, shell: /bin/sh}
write_files:
- path: /srv/greeting
  content: |
    hello: "world"
runcmd:
- [sh, -c, "hostname > /srv/ran-on"]
"""


class Debian:
    """The instance `deb`."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def cli(self, *arguments: str, input: str | None = None) -> CompletedProcess[str]:
        return self.site.daemon.cli("alice", *arguments, input=input, timeout=BOOT_SECONDS)

    def run(self, command: str) -> str:
        done = self.cli("exec", "deb", "--", "sh", "-c", command)
        assert done.returncode == 0, done
        return done.stdout.strip()


@pytest.fixture(scope="module")
def debian(shared: Site) -> Iterator[Debian]:
    try:
        image = debianimage.kept()
    except roots.RootError as error:
        pytest.skip(f"the Debian image can't be built here: {error}")
    one = Debian(shared)
    launched = one.cli(
        "launch", "--name", "deb", "--memory", "512M", "--disk", "5G", "--cloud-init", "-",
        "--timeout", str(BOOT_SECONDS), f"file://{image}", input=CLOUD_INIT,
    )  # fmt: skip
    assert launched.stdout.endswith("Launched: deb\n"), launched
    yield one


@patient
def test_cloud_init_is_done_and_has_nothing_to_complain_about(debian: Debian) -> None:
    status = json.loads(debian.run("cloud-init status --format json"))
    assert (status["status"], status["errors"]) == ("done", [])
    assert (status["extended_status"], status["recoverable_errors"]) == ("done", {})
    assert status["datasource"] == "nocloud"
    assert debian.run("systemctl --failed --no-legend --plain") == ""


@patient
def test_the_guest_is_what_the_seed_says(debian: Debian) -> None:
    assert debian.run("hostname; cat /srv/ran-on") == "deb\ndeb"
    assert debian.run("id -un; sudo -n id -un") == "ubuntu\nroot"
    assert debian.run("getent passwd bob | cut -d: -f7") == "/bin/sh"
    assert debian.run("getent passwd debian")  # the image's own
    assert debian.run("cat /srv/greeting") == 'hello: "world"'
    assert debian.run("timedatectl show --property=Timezone --value") == "Asia/Tokyo"
    record = json.loads((debian.site.storage / "data/instances/deb.json").read_text())
    host_key = debian.run("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    assert host_key == record["host_key"]


@patient
def test_openssh_of_debian_lets_certificates_in_and_its_journal_names_the_client(
    debian: Debian,
) -> None:
    assert debian.run("grep -c ^cert-authority, ~/.ssh/authorized_keys") == "1"
    log = debian.run("sudo journalctl --no-pager -t sshd-session")
    assert re.search(r"ED25519-CERT SHA256:\S+ ID root [0-9a-f]{12} \(serial \d+\) CA", log), log


@patient
def test_the_disk_fills_what_was_asked_for_and_info_knows(debian: Debian) -> None:
    information = debian.cli("info", "deb", "--format", "json").stdout
    told = json.loads(information)["info"]["deb"]
    (disk,) = told["disks"].values()
    assert int(disk["total"]) > 4.5 * (1 << 30) > int(disk["used"]) > 300 << 20
    assert 300 << 20 < told["memory"]["total"] <= 512 << 20
    assert 0 < told["memory"]["used"] < told["memory"]["total"]
    assert told["release"].startswith("Debian GNU/Linux 13")
    assert (told["state"], told["cpu_count"], len(told["load"])) == ("Running", "1", 3)


@patient
def test_a_suspended_guest_goes_on_where_it_was(debian: Debian) -> None:
    before = debian.run(
        "(sleep 5000 </dev/null >/dev/null 2>&1 &); cat /proc/sys/kernel/random/boot_id"
    )
    assert debian.cli("suspend", "deb").returncode == 0
    assert debian.cli("start", "deb").returncode == 0
    after = debian.run("cat /proc/sys/kernel/random/boot_id; pgrep -cx sleep")
    assert after == f"{before}\n1"


@patient
def test_the_guest_s_package_manager_installs_what_a_mount_needs(
    debian: Debian, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert debian.run("command -v sshfs || echo none") == "none"
    source = tmp_path_factory.mktemp("source")
    (source / "hello").write_text("hi\n")
    done = debian.cli("mount", str(source), "deb:data")
    assert done.returncode == 0, done
    assert debian.run("cat data/hello; sudo cat data/hello; echo there > data/made") == "hi\nhi"
    assert (source / "made").read_text() == "there\n"
    assert debian.run("stat -c '%U %G' data/made") == "ubuntu ubuntu"


@patient
def test_it_stops_in_order_within_the_limit_and_boots_again_as_the_same(debian: Debian) -> None:
    debian.run("echo kept > /home/ubuntu/file")  # and not synced
    before = len(debian.site.daemon.log_text())
    assert debian.cli("stop", "deb").returncode == 0
    assert debian.site.state("deb") == "Stopped"
    assert "ignores the power button" not in debian.site.daemon.log_text()[before:]
    started = debian.cli("start", "--timeout", str(BOOT_SECONDS), "deb")
    assert started.returncode == 0, started
    assert debian.run("cat /home/ubuntu/file; cat /srv/ran-on") == "kept\ndeb"
    # It was mounted when the guest went down, which nothing held up; it is again.
    mounts = json.loads((debian.site.storage / "data/instances/deb.json").read_text())["mounts"]
    if mounts:
        assert debian.run("cat data/hello") == "hi"
    debian.cli("delete", "--purge", "deb")
    assert debian.site.kept_of("deb") == []
