"""What `clients` shows of quotas, in each format."""

from __future__ import annotations

import json

from client.render import clients
from protocol.messages.trust import ClientsReply, Quota, Share, TrustedClient

BOB = TrustedClient(fingerprint="ab" * 32, name="bob", role="user", how="invitation")
QUOTA = Quota(
    name="bob",
    shares=[
        Share(kind="instances", used="2", limit="10"),
        Share(kind="disk", used="10GiB", limit="200GiB"),
    ],
)
REPLY = ClientsReply(clients=[BOB], quotas=[QUOTA])


def test_a_table_has_a_row_for_each_person_with_a_quota() -> None:
    heading, row = clients.render(REPLY, "table", 0.0).splitlines()[-2:]
    assert heading.split("  ")[0] == "Quota of"
    assert row.split("  ")[0] == "bob"
    assert "2 of 10" in row and "10GiB of 200GiB" in row


def test_json_and_csv_have_the_same_figures() -> None:
    told = json.loads(clients.render(REPLY, "json", 0.0))["quotas"]
    assert told["bob"]["instances"] == {"used": "2", "limit": "10"}
    assert clients.render(REPLY, "csv", 0.0).splitlines()[-1] == ("bob,2 of 10,,,10GiB of 200GiB,,")


def test_without_a_quota_nothing_is_below_the_clients() -> None:
    assert "Quota" not in clients.render(ClientsReply(clients=[BOB]), "table", 0.0)
