"""How often the progress of a transfer is reported."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.images.image import UNKNOWN, Transfer
from multipassd.images.worker import meter


def told(monkeypatch: pytest.MonkeyPatch, *looks: tuple[float, int], size: int) -> list[int]:
    """What is reported of a file of which so much has arrived at these times."""
    shown: list[int] = []
    made = meter.Meter(lambda transfer: shown.append(transfer.received))
    for now, received in looks:
        monkeypatch.setattr(meter, "time", SimpleNamespace(monotonic=lambda now=now: now))
        made.at(Transfer(received, size, received))
    return shown


def test_each_per_cent_is_told_and_between_them_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = meter.EVERY
    looks = ((9.0, 0), (9.0, 1), (9.0, 10), (9.0, 11), (9.0 + every, 12), (9.1 + every, 13))
    assert told(monkeypatch, *looks, size=1000) == [0, 10, 12]


def test_a_file_of_unknown_size_is_told_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, (9.0, 1), (9.1, 5000), (10.0, 6000), size=0) == [1, 6000]


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_a_per_cent_is_one_or_unknown(received: int, size: int) -> None:
    percent = Transfer(received, size, received).percent
    assert percent == UNKNOWN if size == 0 else 0 <= percent <= 100
