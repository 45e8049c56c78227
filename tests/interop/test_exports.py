"""Exports and imports, asked for by Google's gRPC, of an instance that was never launched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.certificates import make_client
from protocol.status import Status
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tools import records
from tools.sandbox import Sandbox

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

SIZE = 8 << 20  # of data that can't be compressed: more than the service keeps for a reader


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def client(daemon: DaemonFactory, sandbox: Sandbox, data: Path) -> Iterator[GrpcClient]:
    records.put(sandbox, records.make("foo", 1, disk=SIZE))
    disk = records.registry(sandbox).place("foo") / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(data), str(disk)], check=True)
    subprocess.run(["qemu-img", "snapshot", "-c", "old", str(disk)], check=True)
    records.put(sandbox, records.make("gone", 2, deleted=True))
    with GrpcClient(daemon(sandbox=sandbox), make_client()) as made:
        assert made.call("list").status is Status.OK
        yield made


def test_an_export_is_one_file_of_the_size_that_is_told(
    client: GrpcClient, data: Path, tmp_path: Path
) -> None:
    told = client.call("Exports/export", instance_name="foo")
    assert told.status is Status.OK, told.message
    assert told.replies[0].step == "Compressing the disk of foo"
    whole = b"".join(reply.data for reply in told.replies)
    assert [reply.size for reply in told.replies if reply.size] == [len(whole)]
    place = tmp_path / "parts"
    place.mkdir()
    subprocess.run(["tar", "-x"], cwd=place, input=whole, check=True)
    assert json.loads((place / "manifest.json").read_text())["disk"] == SIZE
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=place, check=True)
    found = subprocess.check_output(["qemu-img", "info", "--output=json", place / "disk.qcow2"])
    assert "snapshots" not in json.loads(found)
    flat = tmp_path / "flat"
    subprocess.run(["qemu-img", "convert", "-O", "raw", place / "disk.qcow2", flat], check=True)
    assert flat.read_bytes() == data.read_bytes()


def test_what_can_not_be_exported_is_named(client: GrpcClient, sandbox: Sandbox) -> None:
    none = client.call("Exports/export", instance_name="none")
    assert (none.status, none.message) == (Status.NOT_FOUND, 'instance "none" does not exist')
    gone = client.call("Exports/export", instance_name="gone")
    assert (gone.status, gone.message) == (Status.INVALID_ARGUMENT, 'instance "gone" is deleted')
    disk = records.registry(sandbox).place("foo") / "disk.qcow2"
    make = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow"]
    subprocess.run([*make, str(disk), "1M"], check=True)
    hostile = client.call("Exports/export", instance_name="foo")
    assert hostile.status is Status.INTERNAL and "It is left alone" in hostile.message
    assert not any(reply.data for reply in hostile.replies)


def test_what_can_not_be_imported_is_named(client: GrpcClient, data: Path, tmp_path: Path) -> None:
    refused = {
        "/srv/file": "is no URL of a file",
        "file:///none.export": "does not exist",
        f"file://{tmp_path}": "is not a regular file",
        f"file://{data}": "no disk image",
    }
    for url, why in refused.items():
        told = client.call("Exports/import", url=url)
        assert told.status is not Status.OK and why in told.message, told
    wrong = client.call("Exports/import", url=f"file://{data}", instance_name="a_b")
    assert wrong.status is Status.INVALID_ARGUMENT
