"""May this peer make this call? Pure: policy, peer and trust in; a decision with its reason out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from multipassd.auth.peer import AdminRule, Peer
from multipassd.trust.state import TrustState
from protocol.errors import (
    InvalidCertificate,
    NotAuthenticated,
    RpcError,
    SocketAccessDenied,
    StoreDamaged,
)
from protocol.methods import Policy


class Trust(Protocol):
    """What the gate asks of the trust store; both answers cost the same for 1 and 100,000."""

    @property
    def state(self) -> TrustState: ...

    def trusts(self, fingerprint: str) -> bool: ...


class Verdict(Enum):
    ALLOW = "allow"
    ADOPT = "adopt"  # enrol the caller's certificate as the first, then run
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Decision:
    verdict: Verdict
    reason: str  # a word for the journal
    error: RpcError | None = None  # what the caller is told when refused


DAMAGED_SENTENCE = (
    "The Multipass service can't rely on its list of trusted clients and lets nobody in.\n"
    "An administrator finds the reason and the repair in the service's journal."
)


def decide(policy: Policy, peer: Peer, trust: Trust, admins: AdminRule) -> Decision:
    """Closed by default: a policy without a rule is a KeyError, a state without one refuses."""
    if _kept_out(peer, trust, admins):
        return _refuse("not in the admin group", SocketAccessDenied())
    trusted = bool(peer.fingerprint) and trust.trusts(peer.fingerprint)
    return _RULES[policy](peer, trust.state, trusted)


def decide_anew(policy: Policy, peer: Peer, trust: Trust, admins: AdminRule) -> Decision:
    """May a call that was let in go on? Where `decide` would adopt, no: it was let in as one of
    the trusted, and who was taken off the list must not be put back by what still runs."""
    decision = decide(policy, peer, trust, admins)
    if decision.verdict is Verdict.ADOPT:
        return _refuse("not trusted", NotAuthenticated())
    return decision


def _kept_out(peer: Peer, trust: Trust, admins: AdminRule) -> bool:
    """Before the first client the socket is the admin group's, whatever its mode says."""
    local = peer.credentials is not None
    return local and trust.state is TrustState.EMPTY and not admins.covers(peer.credentials)


def _adopt_first(peer: Peer, state: TrustState, trusted: bool) -> Decision:
    if trusted:
        return _ALLOW_TRUSTED
    if state is TrustState.DAMAGED:
        return _refuse("trust store damaged", StoreDamaged(DAMAGED_SENTENCE))
    if state is TrustState.EMPTY and peer.credentials is not None:
        if not peer.certificate:
            return _refuse("no certificate", InvalidCertificate())
        return Decision(Verdict.ADOPT, "first client")
    return _refuse("not trusted", NotAuthenticated())


def _members_only(peer: Peer, state: TrustState, trusted: bool) -> Decision:
    return _ALLOW_TRUSTED if trusted else _refuse("not trusted", NotAuthenticated(""))


def _open(peer: Peer, state: TrustState, trusted: bool) -> Decision:
    return Decision(Verdict.ALLOW, "open to all")


def _root_or_members(peer: Peer, state: TrustState, trusted: bool) -> Decision:
    if peer.is_root:
        return Decision(Verdict.ALLOW, "root")
    return _ALLOW_TRUSTED if trusted else _refuse("not trusted", NotAuthenticated())


def _refuse(reason: str, error: RpcError) -> Decision:
    return Decision(Verdict.REFUSE, reason, error)


_ALLOW_TRUSTED = Decision(Verdict.ALLOW, "trusted")

_RULES: dict[Policy, Callable[[Peer, TrustState, bool], Decision]] = {
    Policy.ADOPT_FIRST: _adopt_first,
    Policy.MEMBERS_ONLY: _members_only,
    Policy.OPEN: _open,
    Policy.ROOT_OR_MEMBERS: _root_or_members,
}
