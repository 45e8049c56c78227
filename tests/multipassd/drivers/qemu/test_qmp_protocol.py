"""QMP without I/O: bytes in, messages out, however they are cut."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multipassd.drivers.qemu.qmp_protocol import MAX_LINE, Event, Greeting, Qmp, QmpError, Reply
from tools.sandbox import CHECKOUT

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'
STREAM = (
    GREETING
    + b'{"return": {}, "id": 1}\r\n'
    + b'{"event": "SHUTDOWN", "data": {"reason": "guest-shutdown"}}\r\n'
    + b'{"event": "RESUME"}\r\n{"return": 1}\r\n'
    + b'{"id": 2, "error": {"class": "GenericError", "desc": "no"}}\r\n'
)


def shown(message: Greeting | Event | Reply) -> object:
    if isinstance(message, Event):
        return message.name, message.data
    if isinstance(message, Reply):
        return message.number, message.value, message.error
    return "greeting"


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_messages_come_out_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    qmp = Qmp()
    found = [
        shown(message)
        for start, end in pairwise(edges)
        for message in qmp.receive(STREAM[start:end])
    ]
    assert found == [
        "greeting",
        (1, {}, None),
        ("SHUTDOWN", {"reason": "guest-shutdown"}),
        ("RESUME", {}),
        (2, None, "no"),
    ]


def test_commands_are_numbered_lines() -> None:
    qmp = Qmp()
    first, second = qmp.command("stop"), qmp.command("x", {"name": "a\nb"})
    assert [first[0], second[0]] == [1, 2]
    assert first[1].endswith(b"\n") and second[1].count(b"\n") == 1
    assert json.loads(first[1]) == {"execute": "stop", "id": 1}
    assert json.loads(second[1]) == {"execute": "x", "id": 2, "arguments": {"name": "a\nb"}}


@pytest.mark.parametrize(
    "sent",
    [
        b'{"return": {}}\n', GREETING + b"no JSON\n", GREETING + b"[]\n", GREETING + b"\n",
        GREETING + b"[" * 100_000 + b"\n", GREETING + b"x" * (MAX_LINE + 1),
        GREETING + b'{"event": "SHUTDOWN", "data": null}\n',
        GREETING + b'{"id": 1, "error": 3}\n', GREETING + b"\xff\n",
    ],
    ids=lambda sent: sent[-30:].decode("latin-1"),
)  # fmt: skip
def test_what_is_not_qmp_is_an_error(sent: bytes) -> None:
    with pytest.raises(QmpError):
        Qmp().receive(sent)


def test_it_imports_little_as_a_helper_beside_each_qemu_uses_it() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(CHECKOUT)!r}); "
        "import multipassd.drivers.qemu.helper.power_down; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"asyncio", "dataclasses", "logging", "pathlib", "subprocess", "typing"}
