"""However an admin loses its trust, the shared key that it holds is replaced: by the real
programs, with an instance that is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from multipassd.cloudinit.ssh_keys import ServiceKey
from multipassd.guest_access.holders import FILE, Holders
from protocol.certificates import KeyPair, make_client
from protocol.pem import fingerprint, pem_to_der
from tests.conftest import DaemonFactory
from tests.multipassd.admin.trust import Trust
from tests.waiting import until
from tools import records
from tools.daemon import Daemon

CLI = "alice"
SECOND = "id_ed25519.rotation-2"


def pending(daemon: Daemon) -> list[str]:
    done = daemon.cli(CLI, "clients", "--format", "json")
    assert done.returncode == 0, done
    found: list[str] = json.loads(done.stdout)["former_key"]
    return found


def by_revoke(daemon: Daemon, bob: KeyPair) -> None:
    assert daemon.cli(CLI, "revoke", "bob").returncode == 0


def by_demotion(daemon: Daemon, bob: KeyPair) -> None:
    assert daemon.cli(CLI, "grant", "bob", "viewer").returncode == 0


def to_user(daemon: Daemon, bob: KeyPair) -> None:
    assert daemon.cli(CLI, "grant", "bob", "user").returncode == 0


def by_trust(daemon: Daemon, bob: KeyPair) -> None:
    Trust(daemon.sandbox).done("remove", "bob")


def by_hand(daemon: Daemon, bob: KeyPair) -> None:
    text = daemon.store_path.read_bytes()
    assert bob.certificate in text
    daemon.store_path.write_bytes(text.replace(bob.certificate, b""))


def while_it_is_down(daemon: Daemon, bob: KeyPair) -> None:
    daemon.stop()
    by_trust(daemon, bob)
    daemon.start()


def before_it_was_killed(daemon: Daemon, bob: KeyPair) -> None:
    by_revoke(daemon, bob)
    daemon.kill()
    daemon.start()


WAYS = (by_revoke, by_demotion, to_user, by_trust, by_hand, while_it_is_down, before_it_was_killed)


@pytest.mark.parametrize("ends", WAYS, ids=lambda way: way.__name__)
def test_the_key_is_replaced(
    daemon: DaemonFactory, ends: Callable[[Daemon, KeyPair], None]
) -> None:
    running, bob = daemon(), make_client()
    assert running.cli(CLI, "list").returncode == 0  # the first client
    running.stop()
    registry = records.registry(running.sandbox)
    registry.place("foo").mkdir(parents=True)
    registry.put(records.make("foo"))
    key = ServiceKey(running.data)
    assert key.public
    who = fingerprint(pem_to_der(bob.certificate))
    Holders(running.data / FILE, key).note(who, None, "")
    trust = Trust(running.sandbox)
    trust.done("add", "-", "--name", "bob", "--role", "admin", input=bob.certificate)
    running.start()
    assert pending(running) == []

    ends(running, bob)
    until(lambda: pending(running) == ["foo"])
    keys = running.data / "ssh-keys"
    until(lambda: {each.name for each in keys.glob("id_*")} == {"id_ed25519", SECOND})
    assert pending(running) == ["foo"]
    running.stop()
    running.start()
    assert pending(running) == ["foo"]
    assert {each.name for each in keys.glob("id_*")} == {"id_ed25519", SECOND}, "once"
