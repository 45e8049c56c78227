"""A root certificate that ends within a year: renewed by the service, with copies that go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from multipassd.certificates.server_certificate import FORMER_ROOT, ROOT_KEY
from protocol.certificates import ROOT_LIFE, load, make_client, make_root
from protocol.status import Status
from tests import ports
from tests.conftest import DaemonFactory
from tests.interop.grpc_client import GrpcClient
from tests.multipassd.admin.trust import Trust
from tools.daemon import Daemon

ME = make_client()
LEFT = timedelta(days=300)


class Copy:
    """What a client of 1.16 on another machine knows of the service."""

    def __init__(self, running: Daemon, root_cert: Path) -> None:
        self.address = running.address
        self.root_cert = root_cert


def test_clients_with_a_copy_of_the_former_root_go_on_and_check_says_until_when(
    daemon: DaemonFactory, tmp_path: Path
) -> None:
    running, copy = daemon(start=False), tmp_path / "copy.pem"
    root = make_root(datetime.now(UTC) + LEFT - ROOT_LIFE)
    directory = running.data / "certificates"
    directory.mkdir(parents=True)
    (directory / ROOT_KEY).write_bytes(root.key)
    for path in (running.root_cert, copy):
        path.write_bytes(root.certificate)
    with ports.reserved() as port:
        tcp = f"{ports.LOOPBACK}:{port}"
        running.options += ["--address", running.address, "--address", tcp]
        running.start()
        trust = Trust(running.sandbox)
        trust.done("add", "-", "--name", "me", input=ME.certificate)
        ends = load(running.root_cert.read_bytes()).not_valid_after_utc
        assert ends > datetime.now(UTC) + ROOT_LIFE - timedelta(days=1)
        assert (directory / FORMER_ROOT).read_bytes() == copy.read_bytes()
        for root_cert in (copy, running.root_cert):
            with GrpcClient(Copy(running, root_cert), ME, tcp) as client:
                assert client.call("list").status is Status.OK
        said = running.cli("me", "version", env={"MULTIPASS_ROOT_CERT": str(copy)})
        assert (said.returncode, said.stderr) == (0, ""), "over the socket, without a warning"
        day = f"{datetime.now(UTC) + LEFT:%Y-%m-%d}"
        checked = trust.run("check").stdout
        assert f"Copies of the former one verify the service until {day}" in checked
        assert f"copy {running.root_cert} to the place of its copy" in checked
        running.restart()
        with GrpcClient(Copy(running, copy), ME, tcp) as client:
            assert client.call("list").status is Status.OK
