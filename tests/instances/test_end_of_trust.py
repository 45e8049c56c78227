"""Access to a real guest ends when the trust of a client does: its log-ins, and its key.

One instance for all: each boot takes long, and each step stands on the one before.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from multipassd.network.closing import mark
from protocol.certificates import KeyPair
from tests.instances.site import Site
from tests.interop.grpc_client import Answer, GrpcClient
from tests.system.people import People, Person

pytestmark = pytest.mark.root  # to be several users of the host

KEYS = "~/.ssh/authorized_keys"
STAYS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBgPzaBtHUqUEP3qxTTGmJgyYgBqG2IzcxbUSbDb8K2U of a user"
SESSION = "echo begun; exec sleep 1000"


class Persons:
    """Commands of several users of one site."""

    def __init__(self, site: Site, copy: Path) -> None:
        self.site = site
        self._program = str(copy / "bin" / "multipass")
        self._begun: list[subprocess.Popen[str]] = []

    def end(self) -> None:
        """Also what a failed test has left, or its users could not be removed."""
        for process in self._begun:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def begin(self, person: Person, *words: str) -> subprocess.Popen[str]:
        environment = self.site.daemon.env(person.label)
        os.chown(self.site.sandbox.home(person.label), person.uid, person.gid)
        process = subprocess.Popen(
            [self._program, *words], env=environment, cwd="/", text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **person.credentials,
        )  # fmt: skip
        self._begun.append(process)
        return process

    def done(self, person: Person, *words: str) -> str:
        process = self.begin(person, *words)
        said, errors = process.communicate(timeout=280)
        assert process.returncode == 0, (said, errors, self.site.daemon.log_text()[-3000:])
        return said

    def join(self, *persons: Person) -> None:
        """As admins."""
        for person in persons:
            said = self.site.done("invite", person.label, "--role", "admin")
            (line,) = (word for word in said.split() if word.startswith("mpi1-"))
            self.done(person, "authenticate", line)

    def session(self, person: Person) -> subprocess.Popen[str]:
        """A log-in that lasts."""
        process = self.begin(person, "exec", "foo", "--", "sh", "-c", SESSION)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n", process.communicate()
        return process

    def shared_key(self, person: Person) -> bytes:
        """As a client of 1.16 gets it."""
        (reply,) = self._ssh_info(person).replies
        return str(reply.ssh_info["foo"].priv_key_base64).encode()

    def refusal(self, person: Person) -> str:
        return self._ssh_info(person).message

    def _ssh_info(self, person: Person) -> Answer:
        pair = KeyPair(
            self.site.sandbox.certificate(person.label).read_bytes(),
            self.site.sandbox.key(person.label).read_bytes(),
        )
        with GrpcClient(self.site.daemon, pair) as client:
            return client.call("ssh_info", instance_name=["foo"])


@pytest.fixture(scope="module")
def here(shared: Site, copy: Path, people: People) -> Iterator[Persons]:
    assert shared.launch("foo").returncode == 0
    shared.inside("foo", f"echo '{STAYS}' >> {KEYS}")
    persons = Persons(shared, copy)
    try:
        persons.join(people.bob, people.carol, people.dave)
        yield persons
    finally:
        persons.end()
        table = f"multipass_closed_{mark(shared.storage)}"
        subprocess.run(["nft", "delete", "table", "inet", table], check=False)


def logs_in(site: Site, key: bytes, tmp_path: Path) -> bool:
    """With no more than this key, as a client that has kept it would."""
    file = tmp_path / "key"
    file.write_bytes(key)
    file.chmod(0o600)
    port = json.loads(site.records("foo")[0].read_text())["ssh_port"]
    done = subprocess.run(
        ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-i", str(file), "-p", str(port), "ubuntu@127.0.0.1", "true"],
        check=False, capture_output=True, timeout=120,
    )  # fmt: skip
    return done.returncode == 0


def pending(site: Site) -> list[str]:
    found: list[str] = json.loads(site.done("clients", "--format", "json"))["former_key"]
    return found


def test_access_ends_with_trust(here: Persons, people: People, tmp_path: Path) -> None:
    site = here.site
    former = here.shared_key(people.bob)
    assert logs_in(site, former, tmp_path)
    bobs, daves = here.session(people.bob), here.session(people.dave)

    site.done("revoke", "bob")
    bobs.communicate(timeout=60)  # it ends by itself
    assert bobs.returncode != 0
    site.wait_for(lambda: pending(site) == [], "the new key")
    assert not logs_in(site, former, tmp_path)
    assert daves.poll() is None, "another person's log-in goes on"
    keys = site.inside("foo", f"cat {KEYS}").splitlines()
    assert STAYS in keys and len([key for key in keys if "cert-authority" not in key]) == 2
    assert logs_in(site, here.shared_key(people.dave), tmp_path)

    a_stopped_instance_gets_the_key_at_its_start(here, people, tmp_path)
    daves.communicate(timeout=60)  # with the instance
    without_a_shared_key_certificates_let_all_in(here, people, tmp_path)


def a_stopped_instance_gets_the_key_at_its_start(
    here: Persons, people: People, tmp_path: Path
) -> None:
    site = here.site
    former = here.shared_key(people.carol)
    site.done("stop", "foo")
    site.done("snapshot", "foo", "--name", "before")
    site.done("grant", "carol", "viewer")
    site.wait_for(lambda: pending(site) == ["foo"], "the rotation")
    site.kill_daemon()
    assert pending(site) == ["foo"], "a kill loses nothing"
    assert "foo" in site.done("clients").splitlines()[-2]

    site.done("start", "foo")
    site.wait_for(lambda: pending(site) == [], "the new key")
    assert not logs_in(site, former, tmp_path)
    assert logs_in(site, here.shared_key(people.dave), tmp_path)
    kept = {path.name for path in (site.storage / "data/ssh-keys").glob("id_ed25519*")}
    assert kept == {"id_ed25519.rotation-2", "id_ed25519.rotation-3"}, "the snapshot needs one"

    site.done("stop", "foo")
    site.done("restore", "--destructive", "foo.before")
    assert pending(site) == ["foo"], "its disk lets the former key in"
    site.done("start", "foo")
    site.wait_for(lambda: pending(site) == [], "the new key")
    assert not logs_in(site, former, tmp_path)


def without_a_shared_key_certificates_let_all_in(
    here: Persons, people: People, tmp_path: Path
) -> None:
    site = here.site
    key = here.shared_key(people.dave)
    site.done("set", "local.shared-ssh-key=false")
    site.wait_for(lambda: pending(site) == [], "its removal")
    assert not logs_in(site, key, tmp_path)
    assert "local.shared-ssh-key is false" in here.refusal(people.dave)
    assert here.done(people.dave, "exec", "foo", "--", "cat", KEYS.replace("~", "/home/ubuntu"))

    site.kill_daemon()  # whose own log-ins are by certificates from now on
    assert site.inside("foo", f"grep -c . {KEYS}") == "2", "the user's, and the authority's"
    site.wait_for(lambda: site.state("foo") == "Running", "its answer")
    site.done("mount", str(site.sandbox.home("alice")), "foo:/mnt/home")
    assert site.inside("foo", "grep -c ' /mnt/home fuse.sshfs ' /proc/mounts") == "1"
    site.done("umount", "foo:/mnt/home")

    site.done("set", "local.shared-ssh-key=true")
    site.wait_for(lambda: pending(site) == [], "its return")
    assert logs_in(site, here.shared_key(people.dave), tmp_path)
