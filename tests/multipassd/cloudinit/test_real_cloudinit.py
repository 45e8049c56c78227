"""What Debian's cloud-init makes of the seeds: its schemas, its merge, its modules, netplan."""

from __future__ import annotations

import json
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from multipassd.cloudinit import clone_seed, knownkeys, seed, ssh_keys, userdata
from multipassd.cloudinit.clone_seed import CloneSeed
from multipassd.cloudinit.seed import Interface, Seed
from multipassd.cloudinit.ssh_authority import COMMENT
from tests.system import host
from tools import roots

MAKING_SECONDS = 900  # the root may have to be made first
pytestmark = [pytest.mark.root, pytest.mark.timeout(MAKING_SECONDS)]

PACKAGES = ("cloud-init", "netplan.io", "openssh-client", "tzdata")
CONSUMER = Path(__file__).with_name("consume.py")
PLACE = "var/lib/cloud/seed/nocloud"
NAME, INSTANCE_ID = "tiny-one", "tiny-one-0123456789abcdef"
OUR_KEY, HOST_KEY = "ssh-ed25519 AAAAC3NzaOURS multipass", ssh_keys.make()
AUTHORITY = ssh_keys.make_rsa().public
FIRST = Interface("52:54:00:aa:bb:01")
SECOND = Interface("52:54:00:aa:bb:02", optional=True)


def line(instance_id: str) -> str:
    return f'cert-authority,principals="ubuntu@{instance_id}" {AUTHORITY} {COMMENT}'


LINES = (OUR_KEY, line(INSTANCE_ID))

# What people write, in all the shapes that cloud-init takes.
CONFIGURATIONS = {
    "none": "",
    "header only": "#cloud-config\n",
    "no users": "users: []\n",
    "users without value": "users:\n",
    "users as text": "users: default,bob\n",
    "users as names": "users: [default, bob, ubuntu]\n",
    "users as mapping": "users:\n  bob: {gecos: Bob, shell: /bin/sh}\n",
    "our user": "users:\n- {name: ubuntu, ssh_authorized_keys: ssh-ed25519 AAAA}\n",
    "everything usual": """\
#cloud-config
users:
- default
- name: bob
  shell: /bin/sh
  ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaBOBS bob]
ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaEVERYBODY everybody]
package_update: false
packages: [jq, [tree, "2.1"]]
timezone: Asia/Tokyo
write_files:
- path: /srv/greeting
  permissions: '0640'
  content: |
    hello: "world"
      indented ${HOME} 'quoted'
  append: false
runcmd:
- echo "one line"
- [ls, -l, /]
- |
  for i in 1 2; do
      echo $i
  done
bootcmd: [echo booting]
mounts:
- [tmpfs, /srv/scratch, tmpfs]
apt:
  sources:
    x: {source: "deb http://example.invalid/ stable main"}
final_message: "up after $UPTIME s"
""",
}

CONFIGURATION = """\
#cloud-config
users:
- {name: bob, shell: /bin/sh, ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaBOBS bob]}
write_files:
- {path: /srv/greeting, content: "from NAME"}
"""
JINJA = "## template: jinja\n" + CONFIGURATION.replace("NAME", "{{ v1.local_hostname }}")
SCRIPT = "#!/bin/sh\necho 'ä' > /srv/ran\n"
PLAIN_SCRIPT = SCRIPT.replace("ä", "a")
MIXED = (
    'Content-Type: multipart/mixed; boundary="==x=="\nMIME-Version: 1.0\n\n'
    f"--==x==\nContent-Type: text/x-shellscript\n\n{PLAIN_SCRIPT}\n--==x==\n"
    f"Content-Type: text/cloud-config\n\n{CONFIGURATION}\n--==x==--\n"
)
# What its schema refuses, and we before a launch.
REFUSED = (
    "users: [{sudo: x}]",
    "users: [{name: bob, lock_passwd: 1}]",
    "users: 3",
    "runcmd: reboot",
    "runcmd: [{echo: hello}]",
    "write_files: [{content: x}]",
    "packages: jq",
    "hostname: [a]",
    "ssh_authorized_keys: {a: b}",
    "bootcmd: [[a], {b: c}]",
    "timezone: 3",
)
# What it takes, and so do we.
TAKEN = (
    "runcmd: [[ls, -l], reboot, null]",
    "users: [default, {name: b, sudo: [x, y]}, {name: c, sudo: null}, {name: d, uid: 7}]",
    "users: [{name: a, groups: {x: null}}, {name: b, groups: [x]}, {name: c, groups: x}]",
    "users: {name: bob}",
    "write_files: [{path: /x}, {path: /y, permissions: '0644', append: true, defer: true}]",
    "packages: [jq, [tree, '2.1']]",
    "locale: false",
    "mounts: [[/dev/sdb, /x, auto, defaults, '0', '2'], [swap]]",
    "chpasswd: {expire: false}",
    "disable_root: true",
    "ssh_pwauth: true",
)


@dataclass
class Guest:
    """A root with cloud-init that can be used again and again."""

    root: Path
    said: dict[str, Any] = field(default_factory=dict)

    def consume(self, text: str, *interfaces: Interface) -> None:
        """A first boot's work with the seed for this configuration."""
        self.run("sh", "-c", "for name in ubuntu debian bob; do userdel -rf $name; done")
        shutil.rmtree(self.root / "var/lib/cloud", ignore_errors=True)
        self.put(text, *interfaces)
        self.boot()

    def clone(self, clone: CloneSeed) -> None:
        """The next boot's work with the seed of a clone of what was consumed."""
        place = self.root / PLACE
        source = {path.name: path.read_bytes() for path in place.iterdir()}
        self.place(clone_seed.files(source, clone))
        self.boot()

    def boot(self) -> None:
        shutil.rmtree(self.root / "run/cloud-init", ignore_errors=True)  # of the last boot
        shutil.copyfile(CONSUMER, self.root / "consume.py")
        lines = self.run("python3", "/consume.py").stdout.splitlines()
        assert lines and lines[-1].startswith("{"), "\n".join(lines)
        self.said = json.loads(lines[-1])

    def put(self, text: str, *interfaces: Interface) -> None:
        user_data = userdata.merge(userdata.checked(text), NAME, LINES, HOST_KEY, "Europe/Berlin")
        self.place(seed.files(Seed(NAME, INSTANCE_ID, user_data, interfaces or (FIRST,))))

    def place(self, content: Mapping[str, bytes]) -> None:
        place = self.root / PLACE
        place.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (place / name).write_bytes(data)

    def approve(self, name: str, kind: str) -> None:
        """By cloud-init's schema for a file of the seed, without a word."""
        path = f"/{PLACE}/{name}"
        done = self.run("cloud-init", "schema", "-t", kind, "--config-file", path)
        assert done.stdout == f"Valid schema {path}\n"

    def refuses(self, text: str) -> bool:
        (self.root / "config").write_text(f"#cloud-config\n{text}\n")
        words = "cloud-init schema --config-file /config && echo TAKEN || echo REFUSED"
        return "REFUSED" in self.run("sh", "-c", f"{words} 2>&1").stdout.split()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return roots.run_in(self.root, *command)

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def users(self) -> dict[str, pwd.struct_passwd]:
        entries = (line.split(":") for line in self.text("etc/passwd").splitlines())
        made = (pwd.struct_passwd((*e[:2], int(e[2]), int(e[3]), *e[4:])) for e in entries)
        return {each.pw_name: each for each in made}


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    if why := host.missing():
        pytest.skip(why)
    with roots.unpacked(roots.tarball("cloud-init", PACKAGES)) as root:
        yield Guest(root)


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_cloud_init_finds_nothing_to_mend_in_the_seed_and_lets_us_in(
    guest: Guest, text: str
) -> None:
    guest.consume(text)
    guest.approve("user-data", "cloud-config")
    said = guest.said
    assert (said["said"], said["source"]) == ([], "DataSourceNoCloud")
    assert (said["instance_id"], said["local_hostname"]) == (INSTANCE_ID, NAME)
    assert said["merged"]["hostname"] == NAME
    assert set(LINES) <= set(guest.text("home/ubuntu/.ssh/authorized_keys").splitlines())
    assert guest.text("etc/ssh/ssh_host_ed25519_key").encode() == HOST_KEY.private
    assert guest.text("etc/ssh/ssh_host_ed25519_key.pub").split()[:2] == HOST_KEY.public.split()


def test_without_a_configuration_the_user_may_do_everything_and_the_clock_is_the_clients(
    guest: Guest,
) -> None:
    guest.consume("")
    assert guest.users()["ubuntu"].pw_shell == "/bin/bash"
    assert "ubuntu ALL=(ALL) NOPASSWD:ALL" in guest.text("etc/sudoers.d/90-cloud-init-users")
    assert guest.text("etc/timezone").strip() == "Europe/Berlin"
    assert guest.said["merged"]["growpart"]["devices"] == ["/"]


def test_what_the_user_wrote_is_kept_word_for_word(guest: Guest) -> None:
    text = CONFIGURATIONS["everything usual"]
    guest.consume(text)
    given, merged = userdata.parse(text), guest.said["merged"]
    for key in given.keys() - {"users", "apt"}:
        assert merged[key] == given[key], key
    assert merged["apt"]["sources"] == given["apt"]["sources"]
    users = guest.users()
    assert users["bob"].pw_shell == "/bin/sh" and {"debian", "ubuntu"} <= users.keys()
    bobs = guest.text("home/bob/.ssh/authorized_keys")
    assert "BOBS" in bobs and OUR_KEY not in bobs
    assert "EVERYBODY" in guest.text("home/debian/.ssh/authorized_keys")
    assert guest.text("etc/timezone").strip() == "Asia/Tokyo"
    assert guest.text("srv/greeting") == given["write_files"][0]["content"]


def test_netplan_sets_each_card_up_by_its_address_and_the_first_has_the_routes(
    guest: Guest,
) -> None:
    guest.consume("", FIRST, SECOND)
    guest.approve("network-config", "network-config")
    guest.approve("vendor-data", "cloud-config")
    done = guest.run("/usr/libexec/netplan/generate")
    units = [path.read_text() for path in (guest.root / "run/systemd/network").iterdir()]
    assert len(units) == 2, done.stdout
    first, second = sorted(units, key=lambda unit: SECOND.mac in unit)
    for unit, mac in ((first, FIRST.mac), (second, SECOND.mac)):
        assert f"MACAddress={mac}" in unit and "DHCP=ipv4" in unit
        assert "ClientIdentifier=mac" in unit
    assert "RouteMetric=100" in first
    assert "RouteMetric=200" in second


def is_let_in(guest: Guest) -> None:
    assert set(LINES) <= set(guest.text("home/ubuntu/.ssh/authorized_keys").splitlines())
    assert guest.text("etc/ssh/ssh_host_ed25519_key").encode() == HOST_KEY.private
    assert guest.users()["ubuntu"].pw_shell == "/bin/bash"
    assert guest.said["merged"]["hostname"] == NAME
    assert guest.text("etc/timezone").strip() == "Europe/Berlin"


def test_a_template_s_values_win_as_others_do(guest: Guest) -> None:
    guest.consume("## template: jinja\n#cloud-config\nhostname: x\ntimezone: Asia/Tokyo\n")
    assert guest.said["merged"]["hostname"] == "x"
    assert guest.text("etc/timezone").strip() == "Asia/Tokyo"


def test_a_template_is_rendered_in_the_guest(guest: Guest) -> None:
    guest.consume(JINJA)
    assert guest.said["said"] == []
    is_let_in(guest)
    assert guest.text("srv/greeting") == f"from {NAME}"
    assert guest.users()["bob"].pw_shell == "/bin/sh"
    assert "BOBS" in guest.text("home/bob/.ssh/authorized_keys")


def test_a_template_without_users_keeps_the_image_s_own(guest: Guest) -> None:
    guest.consume("## template: jinja\n#cloud-config\nruncmd: [true]\n")
    is_let_in(guest)
    assert {"debian", "ubuntu"} <= guest.users().keys()


@pytest.mark.parametrize(
    "users",
    [
        "[{name: ubuntu, shell: /bin/sh, ssh_authorized_keys: [ssh-ed25519 AAAA theirs]}]",
        "{ubuntu: {gecos: x}}", "ubuntu", "[ubuntu, {name: bob}]", "null", "3",
    ],
)  # fmt: skip
def test_no_template_s_users_lock_the_service_out(guest: Guest, users: str) -> None:
    guest.consume(f"## template: jinja\n#cloud-config\nusers: {users}\nssh_keys: x\n")
    is_let_in(guest)


def test_a_user_that_can_t_be_made_keeps_ours_from_nothing(guest: Guest) -> None:
    """Unseen by our own check, as it is in a template."""
    text = "## template: jinja\n#cloud-config\nusers: [{name: bob, sudo: true}]\n"
    guest.consume(text)
    assert any("sudo" in line for line in guest.said["said"])
    is_let_in(guest)


@pytest.mark.parametrize("text", [SCRIPT, PLAIN_SCRIPT, MIXED], ids=["encoded", "plain", "mixed"])
def test_a_script_is_kept_for_the_end_of_the_boot(guest: Guest, text: str) -> None:
    guest.consume(text)
    assert guest.said["said"] == []
    is_let_in(guest)
    (script,) = (guest.root / f"var/lib/cloud/instances/{INSTANCE_ID}/scripts").iterdir()
    assert script.read_text() == (SCRIPT if text == SCRIPT else PLAIN_SCRIPT)
    if text == MIXED:
        assert guest.text("srv/greeting") == "from NAME"
        assert guest.users()["bob"].pw_shell == "/bin/sh"


@pytest.mark.parametrize("users", ["[{name: bob}]", "bob", "[{name: ubuntu, shell: /bin/sh}]"])
def test_no_part_s_users_lock_the_service_out(guest: Guest, users: str) -> None:
    config = f"#cloud-config\nusers: {users}\nssh_keys: {{rsa_public: x}}\nhostname: x\n"
    archive = yaml.safe_dump([{"type": "text/cloud-config", "content": config}])
    guest.consume(f"#cloud-config-archive\n{archive}")
    assert guest.said["merged"]["hostname"] == "x"
    guest.said["merged"]["hostname"] = NAME
    is_let_in(guest)


def test_an_image_whose_own_user_is_ubuntu_lets_us_in_beside_the_user_s_keys(guest: Guest) -> None:
    place = guest.root / "etc/cloud/cloud.cfg.d/99-ubuntu.cfg"
    place.write_text("system_info: {default_user: {name: ubuntu, shell: /bin/bash}}\n")
    try:
        guest.consume("ssh_authorized_keys: [ssh-ed25519 AAAAC3NzaEVERYBODY everybody]\n")
        assert guest.said["said"] == []
        is_let_in(guest)
        assert "EVERYBODY" in guest.text("home/ubuntu/.ssh/authorized_keys")
    finally:
        place.unlink()


@pytest.mark.parametrize("text", ["", "#cloud-config\nbootcmd: [[echo]]\n", SCRIPT, MIXED])
def test_a_clone_has_a_name_keys_and_a_machine_id_of_its_own(guest: Guest, text: str) -> None:
    (guest.root / "etc/machine-id").write_text("0" * 32 + "\n")
    guest.consume(text)
    assert guest.text("etc/machine-id") == "0" * 32 + "\n"
    seen = set[str]()
    for number in range(2):  # the second one is the clone of a clone
        keys = ssh_keys.make()
        clone = CloneSeed(name := f"clone{number}", f"{name}-1", keys, (SECOND,), line(f"{name}-1"))
        guest.clone(clone)
        said = guest.said
        assert said["said"] == []
        assert (said["instance_id"], said["local_hostname"]) == (clone.instance_id, clone.name)
        assert said["merged"]["hostname"] == clone.name
        assert guest.text("etc/ssh/ssh_host_ed25519_key").encode() == keys.private
        authorised = guest.text("home/ubuntu/.ssh/authorized_keys").splitlines()
        assert OUR_KEY in authorised
        ours = [each for each in authorised if COMMENT in each]
        assert ours == [clone.authority], "no certificate for the source is good for the clone"
        machine_id = guest.text("etc/machine-id")
        assert len(machine_id) == 33 and machine_id not in ("0" * 32 + "\n", *seen)
        guest.boot()
        assert guest.text("etc/machine-id") == machine_id, "at its first boot only"
        seen.add(machine_id)


def test_what_its_schema_refuses_is_refused_before_a_launch(guest: Guest) -> None:
    assert [text for text in REFUSED if not guest.refuses(text)] == []
    for text in REFUSED:
        with pytest.raises(userdata.UserDataError):
            userdata.checked(text)


def test_its_schema_s_keys_are_known_to_us(guest: Guest) -> None:
    place = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
    schema = json.loads(guest.text(place))
    user = schema["$defs"]["users_groups.user"]["properties"]
    file = schema["$defs"]["cc_write_files"]["properties"]["write_files"]["items"]["properties"]
    assert knownkeys.unknown(dict.fromkeys(schema["properties"])) == []
    assert knownkeys.unknown({"users": [dict.fromkeys(user)]}) == []
    assert knownkeys.unknown({"write_files": [dict.fromkeys(file)]}) == []


def test_what_its_schema_takes_is_taken(guest: Guest) -> None:
    assert [text for text in TAKEN if guest.refuses(text)] == []
    for text in TAKEN:
        assert userdata.checked(text)
