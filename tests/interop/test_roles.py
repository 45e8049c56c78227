"""What a viewer gets from every call, by Google's gRPC, as 1.16's client would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from multipassd.rpc.methods import HANDLERS
from multipassd.trust.store import NAMES
from protocol.certificates import make_client
from protocol.methods import METHODS, Method, Policy
from protocol.roles import Role
from protocol.settings import DAEMON_KEYS, HARMLESS_KEYS
from protocol.status import Status
from tests import waiting
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust
from tools.daemon import Daemon

ADMIN, VIEWER = make_client(), make_client()
REFUSED = (
    "Your role 'viewer' does not allow this.\n"
    "An administrator can change that with 'multipass grant'."
)


@pytest.fixture
def running(daemon: DaemonFactory) -> Daemon:
    """With an admin and a viewer."""
    started = daemon()
    trust = Trust(started.sandbox)
    trust.done("add", "-", "--name", "alice", input=ADMIN.certificate)
    said = trust.done("add", "-", "--name", "bob", "--role", "viewer", input=VIEWER.certificate)
    assert "is trusted now as viewer" in said
    return started


@pytest.fixture
def viewer(running: Daemon) -> Iterator[GrpcClient]:
    with GrpcClient(running, VIEWER) as client:
        yield client


def path(method: Method) -> str:
    service, name = method.path.removeprefix("/multipass.").split("/")
    return name if service == "Rpc" else f"{service}/{name}"


def test_a_viewer_is_refused_every_call_that_is_not_a_viewers(viewer: GrpcClient) -> None:
    for method in METHODS:
        # Without a passphrase root would become an admin by it.
        if method.name == "authenticate":
            continue
        answer = viewer.call(path(method))
        if method.policy is Policy.OPEN or method.least is Role.VIEWER:
            assert answer.status is not Status.PERMISSION_DENIED or method.name == "get", (
                method.name
            )
        elif method.policy is Policy.ROOT_OR_MEMBERS and os.geteuid() == 0:
            refused = answer.status is Status.PERMISSION_DENIED
            assert not refused, "root is heard by the Trust service in any role"
        else:
            assert answer[:2] == (Status.PERMISSION_DENIED, REFUSED), method.name
    for name in ("list", "info", "networks", "version", "ping"):
        assert viewer.call(name).status is Status.OK, name
    assert {method.path for method in METHODS if method.least is Role.VIEWER} <= HANDLERS.keys()


def test_a_viewer_reads_harmless_settings_alone_and_an_admin_all(
    viewer: GrpcClient, running: Daemon
) -> None:
    with GrpcClient(running, ADMIN) as admin:
        for key in DAEMON_KEYS:
            assert admin.call("get", key=key).status is Status.OK
            expected = Status.OK if key in HARMLESS_KEYS else Status.PERMISSION_DENIED
            assert viewer.call("get", key=key).status is expected, key


def test_a_change_of_role_counts_for_the_next_call_on_an_open_connection(
    viewer: GrpcClient, running: Daemon
) -> None:
    trust = Trust(running.sandbox)
    assert viewer.call("keys").status is Status.PERMISSION_DENIED
    said = trust.done("add", "-", "--role", "admin", input=VIEWER.certificate)
    assert said.endswith("(bob) is admin now.\n")
    assert viewer.call("keys").status is Status.OK
    trust.done("add", "-", "--role", "viewer", input=VIEWER.certificate)
    assert viewer.call("keys").status is Status.PERMISSION_DENIED
    assert viewer.call("list").status is Status.OK
    trust.done("remove", "bob")
    assert viewer.call("list").status is Status.UNAUTHENTICATED


def test_a_viewer_sees_no_log_of_its_calls_and_its_guesses_are_limited(
    viewer: GrpcClient, running: Daemon
) -> None:
    with GrpcClient(running, ADMIN) as admin:
        assert admin.call("set", key="local.passphrase", val="open").status is Status.OK
        assert any(each.log_line for each in admin.call("list", verbosity_level=4).replies)
    assert not any(each.log_line for each in viewer.call("list", verbosity_level=4).replies)
    assert viewer.call("authenticate", passphrase="open").status is Status.OK
    assert viewer.call("keys").status is Status.PERMISSION_DENIED, "it stays a viewer"


def test_the_tool_lists_roles_tells_of_a_lost_file_and_resets_that_alone(
    viewer: GrpcClient, running: Daemon
) -> None:
    trust = Trust(running.sandbox)
    rows = [line.split()[:3] for line in trust.done("list").splitlines()[1:]]
    assert sorted((row[0], row[2]) for row in rows) == [("alice", "admin"), ("bob", "viewer")]
    (running.store_path.parent / NAMES[Role.VIEWER]).unlink()
    assert viewer.call("list").status is Status.UNAUTHENTICATED
    assert NAMES[Role.VIEWER] in trust.run("check").stdout
    assert "Confirm with --yes" in trust.refused("reset")
    assert "no viewers now" in trust.done("reset", "--yes")
    assert NAMES[Role.VIEWER] not in trust.run("check").stdout
    with GrpcClient(running, ADMIN) as admin:
        assert admin.call("keys").status is Status.OK


def test_a_role_file_that_is_swapped_while_the_service_runs_makes_no_client_more(
    viewer: GrpcClient, running: Daemon, tmp_path: Path
) -> None:
    directory = running.store_path.parent
    viewers, users = (directory / NAMES[role] for role in (Role.VIEWER, Role.USER))
    assert viewer.call("list").status is Status.OK
    kept = viewers.read_bytes()
    os.rename(viewers, users)  # on record it is a viewer still
    assert viewer.call("launch").status is Status.PERMISSION_DENIED
    users.unlink()
    (tmp_path / "elsewhere.pem").write_bytes(kept)
    viewers.symlink_to(tmp_path / "elsewhere.pem")
    assert viewer.call("list").status is Status.UNAUTHENTICATED
    viewers.unlink()
    viewers.mkdir()
    assert viewer.call("list").status is Status.UNAUTHENTICATED
    viewers.rmdir()
    viewers.write_bytes(kept[: len(kept) // 2])
    assert viewer.call("list").status is Status.UNAUTHENTICATED
    with GrpcClient(running, ADMIN) as admin:
        assert admin.call("keys").status is Status.OK, "admins as before"
    replacement = viewers.with_suffix(".new")
    replacement.write_bytes(kept)
    replacement.chmod(0o600)
    os.rename(replacement, viewers)
    assert viewer.call("list").status is Status.OK
    assert viewer.call("keys").status is Status.PERMISSION_DENIED


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only root gets in without passphrase")
def test_root_is_an_admin_by_authenticating_whatever_it_was_before(viewer: GrpcClient) -> None:
    assert viewer.call("keys").status is Status.PERMISSION_DENIED
    assert viewer.call("authenticate").status is Status.OK
    assert viewer.call("keys").status is Status.OK


def test_check_says_so_where_a_certificate_is_in_two_files_and_its_advice_helps(
    viewer: GrpcClient, running: Daemon
) -> None:
    trust = Trust(running.sandbox)
    with running.store_path.open("ab") as store:  # the documented recovery
        store.write(VIEWER.certificate)
    assert viewer.call("keys").status is Status.PERMISSION_DENIED, "the lesser role counts"
    said = trust.run("check")
    assert said.returncode == 1 and "the lesser role counts" in said.stdout
    assert "add --role" in said.stdout
    trust.done("add", "-", "--role", "admin", input=VIEWER.certificate)
    assert viewer.call("keys").status is Status.OK
    assert "the lesser role counts" not in trust.run("check").stdout
    assert not (running.store_path.parent / NAMES[Role.VIEWER]).read_bytes().strip()


def test_a_revert_to_1_16_finds_the_admins_alone_in_the_file_that_it_reads(running: Daemon) -> None:
    assert running.store_path.read_bytes().count(b"BEGIN CERTIFICATE") == 1
    assert ADMIN.certificate.strip() in running.store_path.read_bytes()


def test_a_revocation_says_whom_it_can_not_reach_while_a_file_is_damaged(running: Daemon) -> None:
    side = running.store_path.parent / NAMES[Role.VIEWER]
    side.chmod(0o666)
    trust = Trust(running.sandbox)
    with GrpcClient(running, ADMIN) as admin:
        assert admin.call("list").status is Status.OK
        assert any(
            NAMES[Role.VIEWER] in each for each in admin.call("Trust/clients").replies[-1].damage
        )
        refused = admin.call("Trust/revoke", who="bob")
    assert refused.status is not Status.OK
    assert "1 client of 'bob' can't be changed now" in refused.message
    assert "1 client of 'bob' can't be changed now" in trust.run("remove", "bob").stderr
    assert trust.run("list").stderr.count(NAMES[Role.VIEWER])
    side.chmod(0o600)
    with GrpcClient(running, ADMIN) as admin:
        waiting.until(lambda: not admin.call("Trust/clients").replies[-1].damage)
        assert admin.call("Trust/revoke", who="bob").status is Status.OK
