"""A service of one host, asked by Google's gRPC for what only a cluster has."""

from __future__ import annotations

import shutil

import pytest

from protocol.certificates import make_client
from protocol.messages.launch import LaunchRequest
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tools import records
from tools.sandbox import Sandbox

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

TARGET = "The launch --target feature is not implemented on this backend."
MOVE = "The move feature is not implemented on this backend."


def test_moves_and_targets_are_refused_before_anything_is_made(
    daemon: DaemonFactory, sandbox: Sandbox
) -> None:
    records.put(sandbox, records.make("foo", 1))
    with GrpcClient(daemon(sandbox=sandbox), make_client()) as client:
        moved = client.call("Cluster/move", instance_name="foo", member="m2")
        assert (moved.status, moved.message) == (Status.UNIMPLEMENTED, MOVE)
        for network in ([], [LaunchRequest.NetworkOptions(id="eth0")]):
            launched = client.call(
                "launch", target="m2", network_options=network, permission_to_bridge=True
            )
            assert (launched.status, launched.message) == (Status.UNIMPLEMENTED, TARGET)
            assert not launched.replies
        (shown,) = client.call("list").replies
        assert [each.name for each in shown.instance_list.instances] == ["foo"]
        assert not shown.instance_list.instances[0].location and not shown.log_line
