"""Records as the text of their files. What it is parsed with is loaded with the first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multipassd.instances.records.record import Record

FORMAT: Final = 1  # of the file; a later one is left alone by this release


def record_of(text: bytes) -> Record:
    """Raises ValueError."""
    from multipassd.instances.records import record

    return record.record_of(text)


def text_of(record: Record) -> bytes:
    from multipassd.instances.records import record as records

    return records.text_of(record)


def reason_of(error: OSError | ValueError) -> str:
    """Why a record could not be read: a clause for a sentence."""
    from multipassd.instances.records import record

    return record.reason_of(error)
