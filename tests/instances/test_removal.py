"""Trust taken back while a command waits for a machine: as if the client had hung up."""

from __future__ import annotations

from pathlib import Path

from tests.instances.site import Site, silent_disk
from tests.multipassd.admin.trust import Trust


def test_commands_that_wait_end_and_the_machine_stays(own: Site, tmp_path: Path) -> None:
    trust = Trust(own.sandbox)
    launching = own.launching("foo", silent_disk(tmp_path / "disk.raw"))
    starting = own.starting("foo")
    own.wait_for(lambda: own.logged("calls start"), "the start")
    trust.done("remove", alice_in(trust))
    for command, waiting in (("launch", launching), ("start", starting)):
        _, told = waiting.communicate(timeout=60)
        assert waiting.returncode == 2, told
        assert f"{command} failed: The client is not authenticated with the Multipass" in told
    assert len(own.qemus_of("foo")) == 1
    trust.done("add", own.sandbox.certificate("alice"))
    own.wait_for(lambda: own.cli("list").returncode == 0, "alice's trust")
    assert own.state("foo") == "Starting"
    own.done("delete", "--purge", "foo")


def alice_in(trust: Trust) -> str:
    """Her fingerprint; she is the only client."""
    (row,) = trust.done("list").splitlines()[1:]
    return row.split()[1]
