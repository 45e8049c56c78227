"""The journal's catalogue explains each record of the audit trail, and nothing else."""

from __future__ import annotations

import re

from multipassd.audit.event import Event
from tools.sandbox import CHECKOUT

CATALOG = CHECKOUT / "debian" / "multipass.catalog"
ENTRY = re.compile(r"^-- ([0-9a-f]{32})\n((?:[A-Z][A-Za-z-]+: .+\n)+)\n", re.MULTILINE)
# The fields of records that may stand in an explanation.
FIELDS = {
    "CLIENT", "NAME", "UID", "HOW", "SETTING", "REASON", "PATH", "INSTANCE", "ACTION", "INVITED",
    "VERB", "OUTCOME", "STATUS", "COUNT", "OLD_CLIENT",
}  # fmt: skip
# Those that need no explanation there.
OTHERS = {"EVENT", "ROLE", "PID", "ADDRESS", "SNAPSHOT", "SOURCE", "ABOUT", "BY_NAME", "BY_ROLE",
          "BY_CLIENT", "INVITED_ROLE"}  # fmt: skip


def entries() -> dict[str, tuple[str, str]]:
    """The header and the text of each by its id."""
    parts = ENTRY.split(CATALOG.read_text(encoding="ascii"))[1:]
    return {parts[i]: (parts[i + 1], parts[i + 2]) for i in range(0, len(parts), 3)}


def test_every_event_is_explained_and_nothing_else_is() -> None:
    assert sorted(entries()) == sorted(event.value for event in Event)


def test_every_explanation_says_what_it_is_and_what_to_do() -> None:
    for header, text in entries().values():
        names = [line.partition(":")[0] for line in header.splitlines()]
        assert names == ["Subject", "Defined-By", "Support", "Documentation"]
        assert "man:multipass" in header
        assert re.search(r"^    (sudo )?multipass", text, re.MULTILINE), text
        assert set(re.findall(r"@MULTIPASS_(\w+)@", text)) <= FIELDS
        assert text.count("@") == 2 * len(re.findall(r"@MULTIPASS_\w+@", text))


def test_fields_are_documented() -> None:
    manual = (CHECKOUT / "docs" / "multipassd.8").read_text(encoding="utf-8").replace("\\", "")
    for field in FIELDS | OTHERS:
        assert f"MULTIPASS_{field}" in manual
    for event in Event:
        assert event.name.lower() in manual
