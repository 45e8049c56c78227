"""May this peer make this call? Pure: policy and least role of the method, the peer, its standing,
the state of the trust store and what its first client becomes in; a decision with its reason out.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.trust.state import FirstClient, TrustState
from protocol.errors import (
    CertificateExpired,
    InvalidCertificate,
    NoFirstClient,
    NotAuthenticated,
    NotForRole,
    RpcError,
    SocketAccessDenied,
    StoreDamaged,
)
from protocol.methods import Policy
from protocol.roles import Role


class Verdict(Enum):
    """The outcome of a decision."""

    ALLOW = "allow"
    ADOPT = "adopt"  # enrol the caller's certificate as the first, then run
    REFUSE = "refuse"


class Decision(NamedTuple):
    """May the call be made, and why."""

    verdict: Verdict
    reason: str  # a word for the journal
    error: RpcError | None = None  # for the caller, when refused


DAMAGED_SENTENCE = (
    "The Multipass service can't rely on its list of trusted clients and lets no client in.\n"
    "An administrator finds the reason and the repair in the service's journal."
)


NOT_BY_ITSELF = {
    FirstClient.NOBODY: "local.first-client is 'nobody'",
    FirstClient.UNKNOWN: "the service's settings can't be read, as its journal says",
}


def decide(
    policy: Policy,
    least: Role,
    peer: Peer,
    standing: Standing,
    state: TrustState,
    first: FirstClient,
) -> Decision:
    """Closed by default: a policy without a rule is a KeyError, a state without one refuses.
    `least`: the least role that may make the call as a trusted client."""
    local = peer.credentials is not None
    if local and not standing.admin and not open_to_all(state, first):
        return _refuse("not in the admin group", SocketAccessDenied())
    if standing.expired and policy is not Policy.OPEN:
        return _refuse("certificate expired", CertificateExpired(peer.ends))
    decision = _RULES[policy](peer, standing, state)
    if decision.verdict is Verdict.ADOPT and first is not FirstClient.ADMIN:
        return _refuse("no first client by itself", NoFirstClient(NOT_BY_ITSELF[first]))
    role = standing.role
    if decision is _ALLOW_TRUSTED and (role is None or role < least):
        return _refuse(f"not for the role {role}", NotForRole(role) if role else NotAuthenticated())
    return decision


def decide_anew(
    policy: Policy,
    least: Role,
    peer: Peer,
    standing: Standing,
    state: TrustState,
    first: FirstClient,
) -> Decision:
    """May a call that was let in go on? Where `decide` would adopt, no: it was let in as one of
    the trusted, and who was taken off the list must not be put back by what still runs."""
    decision = decide(policy, least, peer, standing, state, first)
    if decision.verdict is Verdict.ADOPT:
        return _refuse("not trusted", NotAuthenticated())
    return decision


def open_to_all(state: TrustState, first: FirstClient) -> bool:
    """May all local users call, whichever mode the socket has? Before the first client only
    administrators, as any of them may become it; where none does so by a call, those who were
    invited must be able to say so."""
    return state is not TrustState.EMPTY or first is FirstClient.NOBODY


def _adopt_first(peer: Peer, standing: Standing, state: TrustState) -> Decision:
    if standing.trusted:
        return _ALLOW_TRUSTED
    if state is TrustState.DAMAGED:
        return _refuse("trust store damaged", StoreDamaged(DAMAGED_SENTENCE))
    if state is TrustState.EMPTY and peer.credentials is not None:
        if not peer.certificate:
            return _refuse("no certificate", InvalidCertificate())
        return Decision(Verdict.ADOPT, "first client")
    return _refuse("not trusted", NotAuthenticated())


def _members_only(peer: Peer, standing: Standing, state: TrustState) -> Decision:
    return _ALLOW_TRUSTED if standing.trusted else _refuse("not trusted", NotAuthenticated(""))


def _open(peer: Peer, standing: Standing, state: TrustState) -> Decision:
    return Decision(Verdict.ALLOW, "open to all")


def _root_or_members(peer: Peer, standing: Standing, state: TrustState) -> Decision:
    if standing.root:
        return Decision(Verdict.ALLOW, "root")
    return _ALLOW_TRUSTED if standing.trusted else _refuse("not trusted", NotAuthenticated())


def _refuse(reason: str, error: RpcError) -> Decision:
    return Decision(Verdict.REFUSE, reason, error)


_ALLOW_TRUSTED = Decision(Verdict.ALLOW, "trusted")

_RULES: dict[Policy, Callable[[Peer, Standing, TrustState], Decision]] = {
    Policy.ADOPT_FIRST: _adopt_first,
    Policy.MEMBERS_ONLY: _members_only,
    Policy.OPEN: _open,
    Policy.ROOT_OR_MEMBERS: _root_or_members,
}
