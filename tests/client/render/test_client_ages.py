"""`clients` marks in its table which certificates have ended, and which do so soon."""

from __future__ import annotations

import pytest

from client.render import CSV, JSON, TABLE, YAML, clients
from protocol.messages.trust import ClientsReply, Invitation, TrustedClient

DAY = 24 * 3600
NOW = 1_800_000_000
ENDS = {"gone": -1, "now": 0, "soon": 29 * DAY, "later": 31 * DAY, "unknown": -NOW}
REPLY = ClientsReply(
    clients=[
        TrustedClient(name=name, role="admin", fingerprint=f"{number:064x}", expires=NOW + left)
        for number, (name, left) in enumerate(ENDS.items())
    ],
    invitations=[Invitation(name="guest", role="user", expires=NOW + 60)],
)


def test_a_table_marks_them() -> None:
    rows = {line.split()[0]: line for line in clients.render(REPLY, TABLE, NOW).splitlines()[1:]}
    assert {name for name, row in rows.items() if "(ended)" in row} == {"gone"}
    assert {name for name, row in rows.items() if "(soon)" in row} == {"now", "soon"}
    assert set(rows) == {*ENDS, "guest"}, "an invitation has no certificate to renew"


@pytest.mark.parametrize("form", [CSV, JSON, YAML])
def test_what_programs_read_has_the_moment_alone(form: str) -> None:
    said = clients.render(REPLY, form, NOW)
    assert "(ended)" not in said and "(soon)" not in said
    assert "2027-01-15T07:59:59Z" in said
