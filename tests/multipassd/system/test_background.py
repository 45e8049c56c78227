"""Work whose caller hangs up: it runs to completion, and a failure is logged."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from multipassd.system import log
from multipassd.system.background import Tasks
from protocol.errors import StorageFailed


@pytest.fixture
def told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    """What reaches the log, asyncio's own complaints too."""
    monkeypatch.setattr(logging.getLogger(log.ROOT), "propagate", True)
    return caplog


def hung_up(error: Exception | None) -> bool:
    """Did the work go on to its end?"""
    reached = False

    async def work(go_on: asyncio.Event) -> None:
        nonlocal reached
        await go_on.wait()
        reached = True
        if error is not None:
            raise error

    async def story() -> None:
        go_on, tasks = asyncio.Event(), Tasks()
        caller = asyncio.create_task(tasks.complete(work(go_on)))
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait({caller})
        assert caller.cancelled()
        go_on.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(story())
    gc.collect()
    return reached


def test_work_that_nobody_waits_for_any_more_goes_on(told: pytest.LogCaptureFixture) -> None:
    assert hung_up(None)
    assert told.records == []


def test_a_refusal_that_nobody_waits_for_is_one_line_in_the_log(
    told: pytest.LogCaptureFixture,
) -> None:
    assert hung_up(StorageFailed("The disk is full."))
    assert [(each.levelname, each.getMessage(), each.exc_info) for each in told.records] == [
        ("WARNING", "request failed after its caller disconnected: The disk is full.", None)
    ]


def test_a_fault_that_nobody_waits_for_comes_with_its_traceback(
    told: pytest.LogCaptureFixture,
) -> None:
    assert hung_up(ValueError("broken"))
    (record,) = told.records
    assert record.name.startswith(log.ROOT) and record.exc_info
    assert "broken" in str(record.exc_info[1])
