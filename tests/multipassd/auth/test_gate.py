"""The gate over every policy, peer and state of the store."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.auth.gate import Decision, Verdict, decide, decide_anew, open_to_all
from multipassd.auth.peer import NOBODY, AdminRule, Credentials, Peer
from multipassd.auth.standing import Standing, Standings
from multipassd.trust.state import FirstClient, TrustState
from protocol.methods import BY_PATH, METHODS, READS, Method, Policy
from protocol.roles import Role
from protocol.status import Status

ADMIN_GROUP = 27
RULE = AdminRule(ADMIN_GROUP, own_uid=0)
KNOWN, STRANGER, SEEING = "aa" * 32, "bb" * 32, "cc" * 32


class Store:
    def __init__(self, state: TrustState) -> None:
        self.state = state

    def _role_of(self, fingerprint: str) -> Role | None:
        if self.state is TrustState.DAMAGED:
            return None
        if fingerprint == SEEING:  # the file of viewers may hold some while there is no admin
            return Role.VIEWER
        trusting = self.state is TrustState.TRUSTING
        return Role.ADMIN if trusting and fingerprint == KNOWN else None

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        role = self._role_of(fingerprint)
        return role, "" if role is None else "a name"


def local(uid: int, *groups: int) -> Credentials:
    return Credentials(uid, 1000, 42, frozenset({1000, *groups}))


CREDENTIALS = {
    "root": local(0),
    "admin": local(1000, ADMIN_GROUP),
    "user": local(1001),
    "nobody in the admin group": local(NOBODY, ADMIN_GROUP),
    "tcp": None,
}
FINGERPRINTS = {"known": KNOWN, "viewer": SEEING, "stranger": STRANGER, "none": ""}


def peer(who: str, certificate: str) -> Peer:
    fingerprint = FINGERPRINTS[certificate]
    return Peer(CREDENTIALS[who], bytes.fromhex(fingerprint), fingerprint)


def standing(who: str, certificate: str, state: TrustState) -> Standing:
    return Standings(Store(state), RULE).of(peer(who, certificate))


def ask(
    policy: Policy,
    who: str,
    certificate: str,
    state: TrustState,
    least: Role = Role.ADMIN,
    first: FirstClient = FirstClient.ADMIN,
) -> Decision:
    as_what = standing(who, certificate, state)
    return decide(policy, least, peer(who, certificate), as_what, state, first)


def status(decision: Decision) -> Status | None:
    return decision.error.status if decision.error else None


EVERYTHING = list(itertools.product(Policy, CREDENTIALS, FINGERPRINTS, TrustState))


@given(st.sampled_from(EVERYTHING))
def test_only_a_refusal_has_an_error_and_every_refusal_has_one(
    case: tuple[Policy, str, str, TrustState],
) -> None:
    decision = ask(*case)
    assert (decision.verdict is Verdict.REFUSE) == (decision.error is not None)
    assert decision.reason


@pytest.mark.parametrize(("policy", "who", "certificate", "state"), EVERYTHING)
def test_adoption_needs_an_empty_store_an_administrator_a_certificate_and_its_policy(
    policy: Policy, who: str, certificate: str, state: TrustState
) -> None:
    adopted = ask(policy, who, certificate, state).verdict is Verdict.ADOPT
    assert adopted == (
        policy is Policy.ADOPT_FIRST
        and state is TrustState.EMPTY
        and who in ("root", "admin")
        and certificate not in ("none", "viewer")
    )


@pytest.mark.parametrize(("policy", "who", "certificate", "state"), EVERYTHING)
def test_a_stranger_gets_through_only_where_the_policy_is_open_or_the_caller_is_root(
    policy: Policy, who: str, certificate: str, state: TrustState
) -> None:
    decision = ask(policy, who, certificate, state)
    if decision.verdict is Verdict.ALLOW and certificate != "known":
        assert policy is Policy.OPEN or (policy is Policy.ROOT_OR_MEMBERS and who == "root")


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("who", ["user", "nobody in the admin group"])
@pytest.mark.parametrize("certificate", FINGERPRINTS)
def test_before_the_first_client_others_are_refused_like_by_a_closed_socket(
    policy: Policy, who: str, certificate: str
) -> None:
    decision = ask(policy, who, certificate, TrustState.EMPTY)
    assert decision.error is not None
    assert decision.error.message == "multipass socket access denied"


@pytest.mark.parametrize("who", CREDENTIALS)
def test_an_admins_certificate_is_enough_for_every_call(who: str) -> None:
    for policy in Policy:
        assert ask(policy, who, "known", TrustState.TRUSTING).verdict is Verdict.ALLOW


def test_members_of_the_admin_group_are_not_trusted_once_there_is_a_client() -> None:
    decision = ask(Policy.ADOPT_FIRST, "admin", "stranger", TrustState.TRUSTING)
    assert status(decision) is Status.UNAUTHENTICATED


def test_ping_is_refused_with_an_empty_message() -> None:
    decision = ask(Policy.MEMBERS_ONLY, "admin", "stranger", TrustState.EMPTY)
    assert status(decision) is Status.UNAUTHENTICATED
    assert decision.error is not None and decision.error.message == ""


def test_a_first_client_without_certificate_is_told_that_its_certificate_is_invalid() -> None:
    decision = ask(Policy.ADOPT_FIRST, "root", "none", TrustState.EMPTY)
    assert status(decision) is Status.INTERNAL


def test_tcp_never_enrols() -> None:
    decision = ask(Policy.ADOPT_FIRST, "tcp", "stranger", TrustState.EMPTY)
    assert status(decision) is Status.UNAUTHENTICATED


@pytest.mark.parametrize("who", CREDENTIALS)
def test_a_damaged_store_lets_nobody_new_in_and_says_so(who: str) -> None:
    for certificate in ("known", "viewer"):
        decision = ask(Policy.ADOPT_FIRST, who, certificate, TrustState.DAMAGED)
        assert decision.verdict is Verdict.REFUSE
        assert status(decision) is Status.DATA_LOSS


def test_root_is_heard_by_the_trust_service_in_every_state() -> None:
    for state in TrustState:
        assert ask(Policy.ROOT_OR_MEMBERS, "root", "none", state).verdict is Verdict.ALLOW


def test_a_policy_without_a_rule_is_an_error_not_a_permission() -> None:
    with pytest.raises(KeyError):
        ask("no policy", "root", "known", TrustState.TRUSTING)  # type: ignore[arg-type]


def test_every_method_has_a_policy_and_only_these_are_not_adopting() -> None:
    assert all(isinstance(method.policy, Policy) for method in METHODS)
    assert {m.name for m in METHODS if m.policy is not Policy.ADOPT_FIRST} == {
        "ping",
        "host_keys",
        "relay",
        "downloads",
        "authenticate",
        "wait_ready",
        "clients",
        "remove",
        "invite",
        "grant",
        "revoke",
        "roots",
        "renew",
    }


def test_without_an_admin_group_only_root_and_the_daemon_s_own_user_are_administrators() -> None:
    rule = AdminRule(group=0, own_uid=1001)
    assert rule.covers(local(0)) and rule.covers(local(1001))
    assert not rule.covers(local(1000, 0))


@pytest.mark.parametrize(("policy", "who", "certificate", "state"), EVERYTHING)
def test_a_call_goes_on_where_a_new_one_would_be_let_in_but_for_adoption(
    policy: Policy, who: str, certificate: str, state: TrustState
) -> None:
    new = ask(policy, who, certificate, state)
    now = standing(who, certificate, state)
    running = decide_anew(policy, Role.ADMIN, peer(who, certificate), now, state, FirstClient.ADMIN)
    if new.verdict is Verdict.ADOPT:
        assert status(running) is Status.UNAUTHENTICATED
    else:
        assert (running.verdict, status(running)) == (new.verdict, status(new))


@pytest.mark.parametrize("first", [FirstClient.NOBODY, FirstClient.UNKNOWN])
@pytest.mark.parametrize(("policy", "who", "certificate", "state"), EVERYTHING)
def test_where_the_first_client_is_none_by_itself_none_is_adopted_and_none_gets_more(
    policy: Policy, who: str, certificate: str, state: TrustState, first: FirstClient
) -> None:
    as_documented = ask(policy, who, certificate, state)
    decision = ask(policy, who, certificate, state, first=first)
    assert decision.verdict is not Verdict.ADOPT
    if as_documented.verdict is Verdict.ADOPT:
        assert status(decision) is Status.UNAUTHENTICATED
        assert decision.error is not None and "multipass invite" in decision.error.message
    elif first is FirstClient.UNKNOWN or state is not TrustState.EMPTY or who in ("root", "admin"):
        assert (decision.verdict, status(decision)) == (
            as_documented.verdict, status(as_documented)
        )  # fmt: skip
    elif who != "tcp":  # an invited user gets through to `authenticate`, others to nothing more
        allowed = policy is Policy.OPEN or certificate == "viewer"
        with_least = ask(policy, who, certificate, state, Role.VIEWER, first)
        assert (with_least.verdict is Verdict.ALLOW) == allowed


def test_users_reach_an_empty_store_only_where_none_becomes_first_by_a_call() -> None:
    reached = {(state, first) for state in TrustState for first in FirstClient
               if open_to_all(state, first)}  # fmt: skip
    assert {first for state, first in reached if state is TrustState.EMPTY} == {FirstClient.NOBODY}
    assert len(reached) == 2 * len(FirstClient) + 1


# What each role may call. A method without a row here fails the test below: decide for it what a
# client may do who is to change nothing, to get into no guest, and to learn nothing of others.
VIEWERS, ADMINS = {Role.VIEWER, Role.ADMIN}, {Role.ADMIN}
MAY_CALL = {
    "/multipass.Rpc/create": ADMINS,
    "/multipass.Rpc/launch": ADMINS,
    "/multipass.Rpc/purge": ADMINS,
    "/multipass.Rpc/find": VIEWERS,
    "/multipass.Rpc/info": VIEWERS,
    "/multipass.Rpc/list": VIEWERS,
    "/multipass.Rpc/networks": VIEWERS,
    "/multipass.Rpc/mount": ADMINS,
    "/multipass.Rpc/ping": VIEWERS,
    "/multipass.Rpc/recover": ADMINS,
    "/multipass.Rpc/ssh_info": ADMINS,
    "/multipass.Rpc/start": ADMINS,
    "/multipass.Rpc/stop": ADMINS,
    "/multipass.Rpc/suspend": ADMINS,
    "/multipass.Rpc/restart": ADMINS,
    "/multipass.Rpc/delet": ADMINS,
    "/multipass.Rpc/umount": ADMINS,
    "/multipass.Rpc/version": VIEWERS,
    "/multipass.Rpc/get": VIEWERS,  # of harmless keys: multipassd/rpc/methods/settings.py
    "/multipass.Rpc/set": ADMINS,
    "/multipass.Rpc/keys": ADMINS,
    "/multipass.Rpc/authenticate": VIEWERS,
    "/multipass.Rpc/snapshot": ADMINS,
    "/multipass.Rpc/restore": ADMINS,
    "/multipass.Rpc/clone": ADMINS,
    "/multipass.Rpc/daemon_info": ADMINS,
    "/multipass.Rpc/wait_ready": VIEWERS,
    "/multipass.Trust/clients": ADMINS,
    "/multipass.Trust/remove": ADMINS,
    "/multipass.Trust/invite": ADMINS,
    "/multipass.Trust/grant": ADMINS,
    "/multipass.Trust/revoke": ADMINS,
    "/multipass.Trust/roots": VIEWERS,
    "/multipass.Guests/certify": ADMINS,
    "/multipass.Trust/renew": VIEWERS,  # of the caller's own certificate
    "/multipass.Guests/host_keys": ADMINS,
    "/multipass.Guests/relay": ADMINS,
    "/multipass.Images/downloads": ADMINS,
    "/multipass.Exports/export": ADMINS,
    "/multipass.Exports/import": ADMINS,
    "/multipass.Cluster/move": ADMINS,
}


def test_every_method_has_a_row_that_says_which_roles_may_call_it() -> None:
    assert set(MAY_CALL) == set(BY_PATH)
    assert all(isinstance(method.least, Role) for method in METHODS)


def test_what_only_reads_is_no_deed_and_all_else_is() -> None:
    assert {method.name for method in METHODS if method.deed == READS} == {
        "clients", "daemon_info", "downloads", "find", "get", "host_keys", "info", "keys", "list",
        "networks", "ping", "roots", "version", "wait_ready",
    }  # fmt: skip


@pytest.mark.parametrize("who", CREDENTIALS)
@pytest.mark.parametrize("state", TrustState)
@pytest.mark.parametrize("certificate", FINGERPRINTS)
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_role_gets_through_where_its_row_says_so_and_root_as_before(
    method: Method, certificate: str, state: TrustState, who: str
) -> None:
    decision = ask(method.policy, who, certificate, state, method.least)
    role = standing(who, certificate, state).role
    kept_out = state is TrustState.EMPTY and who in ("user", "nobody in the admin group")
    root = method.policy is Policy.ROOT_OR_MEMBERS and who == "root"
    open_to_all = method.policy is Policy.OPEN
    allowed = not kept_out and (root or open_to_all or role in MAY_CALL[method.path])
    assert (decision.verdict is Verdict.ALLOW) == allowed
    if role is Role.VIEWER:
        assert decision.verdict is not Verdict.ADOPT
        if not allowed and not kept_out:
            assert status(decision) is Status.PERMISSION_DENIED
            assert decision.error is not None and "viewer" in decision.error.message


def test_no_role_is_enough_where_a_method_asks_for_more() -> None:
    for state, who in itertools.product(TrustState, CREDENTIALS):
        decision = ask(Policy.ADOPT_FIRST, who, "viewer", state, Role.ADMIN)
        assert decision.verdict is Verdict.REFUSE


@pytest.mark.parametrize("who", CREDENTIALS)
@pytest.mark.parametrize("certificate", FINGERPRINTS)
def test_an_expired_client_is_refused_everywhere_but_root_and_where_all_may_call(
    who: str, certificate: str
) -> None:
    """Until it has expired, and where the setting is off as in 1.16, nothing is different."""
    before = peer(who, certificate)
    expired = before._replace(ends=99.0)

    def asked(method: Method, state: TrustState, refuses: bool, now: float) -> Decision:
        standings = Standings(Store(state), RULE, lambda: refuses, lambda: now)
        return decide(
            method.policy, method.least, expired, standings.of(expired), state, FirstClient.ADMIN
        )

    for method, state in itertools.product(METHODS, TrustState):
        as_what = Standings(Store(state), RULE).of(before)
        usual = said(decide(method.policy, method.least, before, as_what, state, FirstClient.ADMIN))
        assert said(asked(method, state, True, 99.0)) == usual
        assert said(asked(method, state, False, 99.1)) == usual
        now = asked(method, state, True, 99.1)
        if who == "root" or method.policy is Policy.OPEN:
            assert said(now) == usual
        elif usual[0] is Verdict.REFUSE:
            assert now.verdict is Verdict.REFUSE
        else:
            assert status(now) is Status.UNAUTHENTICATED
            assert "ended on 1970-01-01" in str(now.error)


def said(decision: Decision) -> tuple[Verdict, str, Status | None]:
    return decision.verdict, decision.reason, status(decision)
