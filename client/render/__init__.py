"""Results as text: a table for people, csv, json and yaml for programs. Pure."""

from __future__ import annotations

from client import messages
from client.errors import UsageError

TABLE, CSV, JSON, YAML = "table", "csv", "json", "yaml"
FORMS = (TABLE, JSON, CSV, YAML)


def form(name: str) -> str:
    """Raises UsageError for a name that is no format."""
    if name not in FORMS:
        raise UsageError(messages.INVALID_FORMAT)
    return name
