"""What a launch says of user data before it makes anything."""

from __future__ import annotations

from tests.conftest import DaemonFactory


def test_a_key_that_cloud_init_does_not_know_is_a_warning_at_any_verbosity(
    daemon: DaemonFactory,
) -> None:
    service = daemon()
    given = ("launch", "--cloud-init", "-", "file:///no/such/image")
    said = service.cli("alice", *given, input="pakages: [jq]\n")
    told = "cloud-init does not know the key `pakages`, and may pass it over. Did you mean"
    assert told in said.stderr and "launch failed: " in said.stderr
    said = service.cli("alice", *given, input="packages: [jq]\n")
    assert "cloud-init" not in said.stderr
