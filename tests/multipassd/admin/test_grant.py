"""`multipass-trust grant`: another role for a person's clients, with what that takes back."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust, client, snapshot


def add(trust: Trust, name: str, role: str) -> Any:
    pair, who = client()
    trust.done("add", "--name", name, "--role", role, "-", input=pair.certificate)
    return pair, who


def roles(trust: Trust) -> dict[str, str]:
    found = json.loads(trust.done("list", "--format", "json"))
    return {each["name"]: each["role"] for each in found["clients"]}


def test_all_clients_of_a_name_get_the_role(trust: Trust) -> None:
    add(trust, "alice", "admin")
    _, first = add(trust, "bob", "viewer")
    _, second = add(trust, "bob", "viewer")
    said = trust.done("grant", "bob", "user").splitlines()
    assert sorted(said) == sorted(f"{who[:16]} (bob) is user now." for who in (first, second))
    assert roles(trust) == {"alice": "admin", "bob": "user"}
    assert trust.done("grant", first[:8], "user") == f"{first[:16]} (bob) is user already.\n"


def test_the_running_service_knows_it_at_once(trust: Trust, daemon: DaemonFactory) -> None:
    running = daemon(sandbox=trust.sandbox)
    add(trust, "alice", "admin")
    pair, _ = add(trust, "bob", "admin")
    trust.done("grant", "bob", "viewer")
    with GrpcClient(running, pair) as caller:
        assert caller.call("list").status.name == "OK"
        assert caller.call("purge").status.name == "PERMISSION_DENIED"


def test_the_last_admin_stays_one_unless_forced(trust: Trust) -> None:
    add(trust, "alice", "admin")
    before = snapshot(trust.store.parent)
    assert "no admin would be left. Repeat it with --force" in trust.refused(
        "grant", "alice", "viewer"
    )
    assert snapshot(trust.store.parent) == before
    trust.done("grant", "alice", "viewer", "--force")
    assert roles(trust) == {"alice": "viewer"}


def test_invitations_that_would_give_more_are_taken_back(trust: Trust) -> None:
    add(trust, "alice", "admin")
    trust.done("invite", "bob", "--role", "user")
    assert trust.done("grant", "bob", "viewer") == "1 invitation taken back.\n"
    assert json.loads(trust.done("list", "--format", "json"))["invitations"] == []


def test_what_is_not_there_is_named_and_a_dry_run_changes_nothing(trust: Trust) -> None:
    add(trust, "alice", "admin")
    add(trust, "bob", "viewer")
    assert "No client and no invitation has the name 'carol'" in trust.refused(
        "grant", "carol", "user"
    )
    before = snapshot(trust.store.parent)
    assert trust.done("grant", "bob", "user", "--dry-run").startswith("Would do: Make ")
    assert snapshot(trust.store.parent) == before
