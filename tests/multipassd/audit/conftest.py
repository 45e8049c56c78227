"""The records of the audit trail, as they are sent to the journal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from multipassd.system import log


class Records(logging.Handler):
    """Those that were written."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, made: logging.LogRecord) -> None:
        self.records.append(made)

    @property
    def texts(self) -> list[str]:
        return [each.getMessage() for each in self.records]

    @property
    def fields(self) -> list[dict[str, Any]]:
        return [each.__dict__["fields"] for each in self.records]

    def values(self, name: str) -> list[Any]:
        """Of one field, without `MULTIPASS_`, in each record that has it."""
        key = f"MULTIPASS_{name}"
        return [fields[key] for fields in self.fields if key in fields]


@pytest.fixture
def records() -> Iterator[Records]:
    handler, logger = Records(), log.get("audit")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
