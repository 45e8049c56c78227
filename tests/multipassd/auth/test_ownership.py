"""Every method of the table for every role, owner and state of the store."""

from __future__ import annotations

import itertools

import pytest

from multipassd.auth import ownership
from multipassd.auth.gate import Verdict, decide
from multipassd.auth.peer import Credentials, Peer
from multipassd.auth.standing import Standing
from multipassd.trust.state import FirstClient, TrustState
from protocol.methods import METHODS, Method, Policy
from protocol.roles import Role

ROLES = (None, *Role)
OWNERS = ("bob", "carol", "")
PEERS = {
    "of this host": Peer(Credentials(1000, 1000, 42, frozenset({1000})), b"x", "aa" * 32),
    "over TCP": Peer(None, b"x", "aa" * 32),
}


def standing(role: Role | None) -> Standing:
    return Standing(role, "bob" if role else "")


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.path)
def test_who_may_call_is_a_matter_of_role_and_what_it_is_about_of_the_owner(
    method: Method,
) -> None:
    for role, owner, state, who in itertools.product(ROLES, OWNERS, TrustState, PEERS):
        as_what, peer = standing(role), PEERS[who]
        decision = decide(method.policy, method.least, peer, as_what, state, FirstClient.ADMIN)
        reaches = decision.verdict is Verdict.ALLOW and ownership.sees(as_what, owner)
        if state is TrustState.EMPTY and peer.credentials is not None:
            assert not reaches, "before the first client"
        elif role is None:
            assert not reaches, "no stranger reaches an instance, whichever it may call"
        elif method.policy is not Policy.OPEN and role < method.least:
            assert decision.verdict is Verdict.REFUSE and not reaches
        elif role is Role.USER:
            assert reaches == (owner == "bob")
        else:
            assert reaches


def test_an_instance_without_owner_is_for_no_user_and_no_name_is_no_owner() -> None:
    assert not ownership.sees(Standing(Role.USER, ""), "")
    assert not ownership.sees(Standing(Role.USER, "bob"), "")
    assert not ownership.sees(Standing(), "")


@pytest.mark.parametrize("role", Role)
def test_root_with_a_certificate_has_the_role_of_that(role: Role) -> None:
    as_root = Standing(role, "bob", root=True, admin=True)
    assert ownership.sees(as_root, "carol") == (role is not Role.USER)
