"""kill -9 of the daemon at each write of an invitation, an enrolment by it, a grant, a revocation.

After the next start no client is more than it was or was about to be, what was acknowledged is
there, and the file that Multipass 1.16 reads holds admins alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from multipassd.auth.invitations import Invitations
from multipassd.trust.changes import UNDERWAY_NAME
from multipassd.trust.reader import INVITATIONS_NAME
from multipassd.trust.store import TrustStore
from protocol.certificates import KeyPair, make_client
from protocol.pem import CERTIFICATE, body_to_der, fingerprint, pem_to_der
from protocol.roles import Role
from protocol.status import Status
from tests.interop.grpc_client import Answer, GrpcClient
from tests.multipassd.admin.trust import TRUST
from tests.waiting import until
from tools.daemon import Daemon
from tools.sandbox import MULTIPASSD, Sandbox

MOST_WRITES = 40  # of a deed; the longest has half of that
ALICE, BOB, LAPTOP, OTHER = (make_client() for _ in range(4))
KILLER = Path(__file__).with_name("killing_daemon.py")


def name(pair: KeyPair) -> str:
    return fingerprint(pem_to_der(pair.certificate))


class KilledSite:
    """A daemon that can be killed at each of its writes. Alice is an admin."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.armed = sandbox.root / "armed"
        self.directory = sandbox.store_path.parent
        self.daemon = Daemon(
            sandbox,
            env={
                "KILL_STORE": str(self.directory),
                "KILL_ARMED": str(self.armed),
                "KILL_PROGRAM": str(MULTIPASSD),
            },
        )
        self.daemon._command = [sys.executable, "-I", str(KILLER), "--logger", "stderr"]
        self.daemon.start()
        assert self.call(ALICE, "list").status is Status.OK

    def call(self, pair: KeyPair, method: str, **fields: Any) -> Answer:
        with GrpcClient(self.daemon, pair) as client:
            return client.call(method, **fields)

    def ask(self, method: str, **fields: object) -> Answer:
        """By alice, and done."""
        answer = self.call(ALICE, f"Trust/{method}", **fields)
        assert answer.status is Status.OK, answer
        return answer

    def invite(self, role: Role, who: str = "bob") -> str:
        (reply,) = self.ask("invite", name=who, role=str(role), seconds=3600).replies
        return str(reply.line)

    def let_in(self, pair: KeyPair, role: Role) -> None:
        answer = self.call(pair, "authenticate", passphrase=self.invite(role))
        assert answer.status is Status.OK, answer

    def killed_at(self, number: int, deed: Callable[[], Answer]) -> tuple[bool, bool]:
        """Was the daemon killed, and was the deed acknowledged? It runs again afterwards."""
        self.armed.write_text(str(number))
        acknowledged = deed().status is Status.OK
        process = self.daemon.process
        assert process is not None
        if acknowledged:
            self.armed.unlink()
            if self.call(ALICE, "list").status is Status.OK:
                return False, True
        process.wait(30)
        self.armed.unlink(missing_ok=True)
        self.daemon.process = None
        self.daemon.start()
        until(lambda: not (self.directory / UNDERWAY_NAME).exists(), "the change to be ended")
        return True, acknowledged

    def tool_killed_at(self, number: int, *words: str, input: bytes = b"") -> tuple[bool, bool]:
        """The same for `multipass-trust`, while the daemon runs."""
        armed = self.armed.with_name("armed-tool")
        armed.write_text(str(number))
        more = {"KILL_PROGRAM": str(TRUST), "KILL_ARMED": str(armed)}
        done = subprocess.run(
            [sys.executable, "-I", str(KILLER), *words, "--socket", str(self.daemon.socket_path)],
            env={**self.daemon.sandbox.daemon_env(), **self.daemon.extra_env, **more},
            input=input, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), done
        until(lambda: not (self.directory / UNDERWAY_NAME).exists(), "the change to be ended")
        return done.returncode != 0, done.returncode == 0

    def role(self, pair: KeyPair) -> Role | None:
        """As the daemon sees it, whose list holds what its files say."""
        (reply,) = self.ask("clients").replies
        roles = {each.fingerprint: each.role for each in reply.clients}
        store = TrustStore(self.directory)
        store.refresh()
        role = store.role_of(name(pair))
        assert roles.get(name(pair)) == (None if role is None else str(role))
        return role

    def told(self) -> str:
        """For a test that failed."""
        (reply,) = self.ask("clients").replies
        names = [(each.name, each.role, each.fingerprint[:8]) for each in reply.clients]
        return f"{names}\n{self.daemon.log_text()[-6000:]}"

    def check_1_16(self) -> None:
        """What Multipass 1.16 would trust, as all that is in the file that it reads."""
        store = TrustStore(self.directory)
        store.refresh()
        assert not store.doubt
        for block in CERTIFICATE.finditer(store.path.read_bytes()):
            assert store.role_of(fingerprint(body_to_der(block["body"]))) is Role.ADMIN
        assert self.role(ALICE) is Role.ADMIN


@pytest.fixture
def killed() -> Iterator[KilledSite]:
    sandbox = Sandbox.create()
    site = KilledSite(sandbox)
    try:
        yield site
        site.daemon.stop()
    finally:
        site.daemon.abandon()
        sandbox.remove()


def each_write(site: KilledSite, prepare: Callable[[], None], deed: Callable[[], Answer],
               check: Callable[[bool], None]) -> int:  # fmt: skip
    """Kill the daemon at its first write of the deed, its second, and so on, until none is left."""
    for number in range(1, MOST_WRITES):
        prepare()
        was_killed, acknowledged = site.killed_at(number, deed)
        site.check_1_16()
        check(acknowledged)
        if not was_killed:
            return number - 1
    raise AssertionError("it never came to its end")


def test_the_tool_killed_at_each_write_while_the_daemon_runs_leaves_what_was_or_what_is_asked(
    killed: KilledSite,
) -> None:
    for verb in ("remove", "add"):
        for number in range(1, MOST_WRITES):
            for pair in (BOB, LAPTOP):
                if killed.role(pair) is None:
                    killed.let_in(pair, Role.USER)
            killed.ask("grant", who="bob", role="user")
            if verb == "remove":
                killed.invite(Role.USER)
                was_killed, done = killed.tool_killed_at(number, "remove", "bob")
                after = None
            else:
                words, after = ("add", "-", "--role", "admin"), Role.ADMIN
                both = BOB.certificate + LAPTOP.certificate
                was_killed, done = killed.tool_killed_at(number, *words, input=both)
            for pair in (BOB, LAPTOP):
                assert killed.role(pair) in ((after,) if done else (Role.USER, after))
            killed.check_1_16()
            if not was_killed:
                break
        assert number > 3


def test_an_invitation_that_was_printed_is_good_and_a_kill_lets_no_client_in(
    killed: KilledSite,
) -> None:
    lines: list[str] = []

    def deed() -> Answer:
        answer = killed.call(ALICE, "Trust/invite", name="bob", role="viewer", seconds=3600)
        lines.extend(str(reply.line) for reply in answer.replies)
        return answer

    def check(acknowledged: bool) -> None:
        waiting = Invitations(killed.directory / INVITATIONS_NAME).waiting(time.time())
        assert len(waiting) >= len(lines)
        assert killed.role(BOB) is None
        if acknowledged:
            assert killed.call(BOB, "authenticate", passphrase=lines[-1]).status is Status.OK

    assert each_write(killed, lambda: None, deed, check) >= 2


def test_an_enrolment_by_a_line_is_whole_or_can_be_repeated_by_that_client_alone(
    killed: KilledSite,
) -> None:
    line, role = "", Role.VIEWER

    def prepare() -> None:
        nonlocal line
        if killed.role(BOB):
            killed.ask("revoke", who=name(BOB))
        line = killed.invite(role)

    def deed() -> Answer:
        return killed.call(BOB, "authenticate", passphrase=line)

    def check(acknowledged: bool) -> None:
        has = killed.role(BOB)
        assert has in ((role,) if acknowledged else (role, None))
        other = killed.call(OTHER, "authenticate", passphrase=line)
        if other.status is Status.OK:  # it was not claimed yet
            assert has is None
            killed.ask("revoke", who=name(OTHER))
            return
        if not acknowledged:
            again = deed()
            done = again.status is Status.OK or "trusted already" in again.message
            assert done or (has is role and "was used" in again.message), again
        assert killed.role(BOB) is role
        assert killed.call(BOB, "list").status is Status.OK

    assert each_write(killed, prepare, deed, check) >= 4


@pytest.mark.parametrize(
    ("before", "after"),
    [(Role.ADMIN, Role.VIEWER), (Role.VIEWER, Role.ADMIN)],
    ids=lambda role: str(role),
)
def test_a_grant_leaves_each_certificate_the_old_role_or_the_new_one(
    killed: KilledSite, before: Role, after: Role
) -> None:
    for pair in (BOB, LAPTOP):
        killed.let_in(pair, before)

    def prepare() -> None:
        killed.ask("grant", who="bob", role=str(before))

    def deed() -> Answer:
        return killed.call(ALICE, "Trust/grant", who="bob", role=str(after))

    def check(acknowledged: bool) -> None:
        for pair in (BOB, LAPTOP):
            assert killed.role(pair) in ((after,) if acknowledged else (before, after))

    assert each_write(killed, prepare, deed, check) >= 4


def test_a_revocation_leaves_the_role_or_none_and_one_that_was_acknowledged_stays(
    killed: KilledSite,
) -> None:
    lines: list[str] = []

    def prepare() -> None:
        for pair in (BOB, LAPTOP):
            if killed.role(pair) is None:
                killed.let_in(pair, Role.USER)
        lines.append(killed.invite(Role.USER))

    def deed() -> Answer:
        return killed.call(ALICE, "Trust/revoke", who="bob")

    def check(acknowledged: bool) -> None:
        for pair in (BOB, LAPTOP):
            assert killed.role(pair) in ((None,) if acknowledged else (None, Role.USER))
        if acknowledged:
            refused = killed.call(BOB, "authenticate", passphrase=lines[-1])
            assert refused.status is Status.INVALID_ARGUMENT
            assert killed.call(BOB, "list").status is Status.UNAUTHENTICATED

    assert each_write(killed, prepare, deed, check) >= 3
