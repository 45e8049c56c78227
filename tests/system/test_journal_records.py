"""Who did what: written by the real daemon to a real journal, read back by `multipass-trust log`,
and none of what other users wrote there."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from protocol.messages.common import InstanceNames, InstanceSnapshotPair, TargetPathInfo
from protocol.methods import METHODS, READS
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.journald import Journald, journald
from tests.multipassd.admin.trust import TRUST, client
from tests.multipassd.migration.conftest import MIGRATE
from tests.multipassd.migration.old_vault import OldVault
from tests.system.test_installer import free_port
from tests.waiting import PATIENCE
from tools.daemon import Daemon

pytestmark = pytest.mark.root

NOBODY = 65534
PASSPHRASE = "correct horse battery staple"
# The user is given up after the imports, as the checkout may be closed to others.
FORGE = """
import ctypes, os, sys
from systemd import journal
uid, mapped = int(sys.argv[1]), sys.argv[2] == "root of its namespace"
if uid:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
if mapped:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: else /proc/self is root's
    assert libc.unshare(0x10000000) == 0, ctypes.get_errno()  # CLONE_NEWUSER
    with open("/proc/self/uid_map", "w") as file:
        file.write(f"0 {uid} 1")
    assert os.getuid() == 0
journal.sendv("MESSAGE=forged", "MULTIPASS_EVENT=granted", "MULTIPASS_NAME=mallory",
              "MULTIPASS_CLIENT=" + "ab" * 32, "MULTIPASS_UID=0", "SYSLOG_IDENTIFIER=multipassd",
              "_UID=0", "_TRANSPORT=journal", "_SYSTEMD_UNIT=multipassd.service",
              "OBJECT_SYSTEMD_UNIT=multipassd.service", "OBJECT_UID=0", *sys.argv[3:])
"""
TERMINAL = "\x1b[2J\r\u202e\x07"
CONTROL = set("\x1b\r\u202e\x07")


@dataclass
class Site:
    journal: Journald
    daemon: Daemon
    tcp: str  # where it listens besides

    def log(self, *words: str) -> str:
        self.journal.sync()
        env = self.daemon.sandbox.daemon_env()
        return self.journal.done(sys.executable, "-I", str(TRUST), "log", *words, env=env)

    def records(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.log("--format", "json", *words))["records"]
        return found

    def send(self, *fields: str, uid: int = 0, mapped: bool = False) -> None:
        """As any program may: with the library, and the fields that a forger would add. `mapped`:
        as root of a user namespace of its own."""
        how = "root of its namespace" if mapped else "itself"
        self.journal.done(sys.executable, "-c", FORGE, str(uid), how, *fields)


@pytest.fixture
def site(daemon: DaemonFactory) -> Iterator[Site]:
    with journald() as running:
        service = daemon(start=False)
        tcp = f"127.0.0.1:{free_port()}"
        service.options += ["--address", service.address, "--address", tcp]
        service.run_inside(running.entering)
        service.start()
        yield Site(running, service, tcp)
        service.stop()


def done(site: Site, user: str, *words: str, code: int = 0) -> str:
    answer = site.daemon.cli(user, *words)
    assert answer.returncode == code, answer
    return answer.stdout


def test_a_day_is_in_the_journal_and_is_read_back_in_each_format(site: Site) -> None:
    done(site, "alice", "list")
    done(site, "alice", "set", f"local.passphrase={PASSPHRASE}")
    (line,) = re.findall(r"mpi1-\S+", done(site, "alice", "invite", "bob"))
    done(site, "bob", "authenticate", line)
    done(site, "bob", "authenticate", line, code=2)
    done(site, "alice", "start", "nosuch", code=2)
    done(site, "alice", "revoke", "bob")
    done(site, "bob", "list", code=2)
    env = site.daemon.sandbox.daemon_env()
    site.journal.done(sys.executable, "-I", str(TRUST), "remove", "root", env=env)

    found = site.records()
    told = [(each["name"], each["what"], each["outcome"]) for each in found]
    assert told == [
        ("root", "grant", "done"),
        ("root", "set", "done"),
        ("root", "invite", "done"),
        ("bob", "grant", "done"),
        ("bob", "denied", "refused"),
        ("root", "start", "failed"),
        ("root", "revoke", "done"),
        ("", "denied", "refused"),
        ("", "revoke", "done"),
    ]
    set_, invited, start, revoked = found[1], found[2], found[5], found[6]
    assert set_["setting"] == "local.passphrase" and invited["about"] == revoked["about"] == "bob"
    assert start["instances"] == ["nosuch"] and start["status"] == "aborted"
    assert all(each["uid"] == "0" and int(each["pid"]) > 1 for each in found)
    assert all(each["role"] == "admin" for each in (set_, invited, start, revoked))
    everything = site.journal.done("journalctl", "-o", "export", "--no-pager")
    assert PASSPHRASE not in everything and line not in everything

    shown = site.log().splitlines()
    assert shown[0].split() == ["TIME", "WHO", "ROLE", "FROM", "WHAT", "ON", "OUTCOME"]
    assert len(shown) == 1 + len(found)
    assert yaml.safe_load(site.log("--format", "yaml"))["records"] == found
    rows = list(csv.DictReader(site.log("--format", "csv").splitlines()))
    assert [row["What"] for row in rows] == [each["what"] for each in found]
    assert [each["what"] for each in site.records("--instance", "nosuch")] == ["start"]
    of_bob = [each["what"] for each in site.records("--client", "bob")]
    assert of_bob == ["invite", "grant", "denied", "revoke"]
    assert (
        site.records("--since", "1h") == site.records("--since", "0001-01-01") == found
        and site.records("--until", "1h") == []
    )


NOSUCH = InstanceNames(instance_name=["nosuch"])
CAROL, DAN = client(), client()
# What each call of the table is made with, where that is not an empty request.
REQUESTS: dict[str, dict[str, Any]] = {
    "create": {"instance_name": "-"},
    "launch": {"instance_name": "-"},
    "mount": {"target_paths": [TargetPathInfo(instance_name="nosuch", target_path="/x")]},
    "umount": {"target_paths": [TargetPathInfo(instance_name="nosuch", target_path="/x")]},
    "recover": {"instance_names": NOSUCH},
    "start": {"instance_names": NOSUCH},
    "stop": {"instance_names": NOSUCH},
    "suspend": {"instance_names": NOSUCH},
    "restart": {"instance_names": NOSUCH},
    "ssh_info": {"instance_name": ["nosuch"]},
    "delet": {"instance_snapshot_pairs": [InstanceSnapshotPair(instance_name="nosuch")]},
    "set": {"key": "local.passphrase", "val": PASSPHRASE},
    "authenticate": {"passphrase": "wrong"},
    "remove": {"fingerprint": DAN[1]},
    "invite": {"name": "erin"},
    "grant": {"who": "carol", "role": "viewer"},
    "revoke": {"who": "carol"},
}
# What `log` calls it, where that is not the verb of the table.
SHOWN = {"authenticate": "denied", "remove": "revoke"}


def test_each_deed_on_the_wire_is_one_record_and_no_read_is(site: Site) -> None:
    env = site.daemon.sandbox.daemon_env()
    admin, _ = client()
    for name, (pair, _) in (("alice", (admin, "")), ("carol", CAROL), ("dan", DAN)):
        path = site.daemon.sandbox.root / f"{name}.pem"
        path.write_bytes(pair.certificate)
        words = ("add", "--name", name, str(path))
        site.journal.done(sys.executable, "-I", str(TRUST), *words, env=env)
    before = len(site.records())
    with GrpcClient(site.daemon, admin) as caller:
        for method in METHODS:
            service = method.path.split("/")[1].removeprefix("multipass.")
            caller.call(f"{service}/{method.name}", **REQUESTS.get(method.name, {}))
    with GrpcClient(site.daemon, admin, site.tcp) as caller:
        caller.call("start", instance_names=NOSUCH)
    *found, remote = site.records()[before:]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", remote["address"]) and not remote["uid"]
    deeds = [method.deed for method in METHODS if method.deed != READS]
    assert [each["what"] for each in found] == [SHOWN.get(deed, deed) for deed in deeds]
    assert {each["name"] for each in found} == {"alice"}
    assert all(each["uid"] == "0" and int(each["pid"]) > 1 for each in found)


def test_follow_shows_what_happens_next_until_it_is_interrupted(site: Site) -> None:
    done(site, "alice", "list")
    env = site.daemon.sandbox.daemon_env()
    words = [sys.executable, "-I", str(TRUST), "log", "--follow", "--instance", "nosuch"]
    process = subprocess.Popen(
        [*site.journal.entering, *words], env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("TIME")
        done(site, "alice", "stop", "nosuch", code=2)
        assert "nosuch" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stdout.read() == ""
    finally:
        process.kill()
        process.communicate()


def test_what_other_users_send_is_never_shown(site: Site) -> None:
    done(site, "alice", "list")
    honest = site.records()
    site.send(uid=NOBODY)
    site.send(uid=NOBODY, mapped=True)
    forged = r"MESSAGE=forged\nMULTIPASS_EVENT=granted\nMULTIPASS_NAME=mallory\n_UID=0\n"
    site.journal.done("sh", "-c", f"printf '{forged}' | logger --journald", uid=NOBODY)
    site.journal.done("logger", "-t", "multipassd", "MULTIPASS_EVENT=granted", uid=NOBODY)
    everything = site.journal.done("journalctl", "MULTIPASS_EVENT=granted", "-o", "cat")
    assert everything.count("forged") == 3, "the journal has them"
    assert site.records() == honest
    assert "mallory" not in site.log()


def test_a_record_can_not_command_a_terminal(site: Site) -> None:
    """Root's own programs could write one, or a release that checked less."""
    site.send(f"MULTIPASS_INSTANCE={TERMINAL}foo", f"MULTIPASS_VERB={TERMINAL}")
    for form in ("table", "csv", "json", "yaml"):
        shown = site.log("--format", form)
        assert not set(shown) & CONTROL, form
        assert "foo" in shown


def test_where_there_is_no_journal_a_sentence_says_so(site: Site) -> None:
    env = site.daemon.sandbox.daemon_env()
    site.journal.done("sh", "-c", "journalctl --sync; rm -rf /run/log/journal")
    answer = site.journal.run(sys.executable, "-I", str(TRUST), "log", env=env)
    assert answer.returncode == 1 and "There is no journal here" in answer.stderr


def test_an_instance_that_is_taken_over_from_1_16_is_on_record(site: Site) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("needs qemu-img")
    root = site.daemon.sandbox.root
    old = OldVault(root / "old")
    old.add("foo")
    old.save()
    words = (str(MIGRATE), "take", "foo", "--from", str(old.data))
    site.journal.done(sys.executable, "-I", *words, env=site.daemon.sandbox.daemon_env())
    (taken,) = site.records("--instance", "foo")
    assert (taken["what"], taken["uid"], taken["outcome"]) == ("migrate", "0", "done")


def test_each_verb_of_roots_program_that_changes_something_is_on_record(site: Site) -> None:
    sandbox = site.daemon.sandbox
    site.daemon.stop()
    old, pem = sandbox.root / "old", sandbox.root / "dan.pem"
    (old / "authenticated-certs").mkdir(parents=True)
    (old / "authenticated-certs" / sandbox.store_path.name).write_bytes(CAROL[0].certificate)
    (old / "authenticated-certs" / sandbox.store_path.name).chmod(0o600)
    (old / "multipassd.conf").write_text("[General]\nlocal.privileged-mounts=false\n")
    pem.write_bytes(DAN[0].certificate)

    def trust(*words: str) -> None:
        command = (sys.executable, "-I", str(TRUST), *words)
        answer = site.journal.run(*command, env={**sandbox.daemon_env(), "SUDO_UID": "1234"})
        assert answer.returncode == 0 or words[0] == "check", answer

    trust("add", "--name", "dan", str(pem), "--dry-run")
    trust("add", "--name", "dan", str(pem))
    trust("import", str(old))
    trust("add", "--role", "viewer", str(pem))
    trust("invite", "erin")
    trust("remove", "erin")
    trust("remove", "dan")
    trust("first-client", "nobody")
    sandbox.store_path.chmod(0o666)
    trust("check", "--repair")
    sandbox.store_path.write_text("what a careless editor left")
    trust("reset", "--yes")
    trust("list")
    found = site.records()
    assert [each["what"] for each in found] == [
        "grant", "grant", "set", "grant", "invite", "withdrawn", "revoke", "set", "repair", "reset",
    ]  # fmt: skip
    assert {each["uid"] for each in found} == {"1234"}
