"""What a mount's server is asked for is checked field by field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from multipassd.mounts.order import MAX_TEXT, MOST_PAIRS, Order, socket_name
from tests.multipassd.mounts.peer import order

ASKED = order(Path("/srv/data"), 1000, uids=((1000, 1000), (1, 2)))


def test_an_order_is_read_as_it_was_written() -> None:
    message = ASKED.message()
    message["uids"] = [list(pair) for pair in message["uids"]]  # as JSON has it
    message["gids"] = [list(pair) for pair in message["gids"]]
    assert Order.read(message) == ASKED


@pytest.mark.parametrize(
    "wrong",
    [
        {"instance": "../foo"}, {"instance": "Foo Bar"}, {"source": ""}, {"source": "/a\0b"},
        {"source": "x" * (MAX_TEXT + 1)}, {"uid": -1}, {"uid": 1 << 32}, {"uid": "0"},
        {"uids": [[1]]}, {"uids": [[1, 2]] * (MOST_PAIRS + 1)}, {"uids": {}}, {"gids": [[1, -1]]},
        {"host": "-oProxyCommand=x"}, {"user": "-l"}, {"port": 0}, {"port": 65536},
        {"host_key": "ssh-ed25519 A\nother ssh-ed25519 B"}, {"target": None},
    ],
)  # fmt: skip
def test_what_is_no_order_is_refused(wrong: dict[str, Any]) -> None:
    message = {**ASKED.message(), "uids": [], "gids": [], **wrong}
    with pytest.raises((ValueError, TypeError, KeyError)):
        Order.read(message)
    with pytest.raises(KeyError):
        Order.read({name: value for name, value in ASKED.message().items() if name != "uid"})


def test_no_two_mounts_have_one_control_socket() -> None:
    names = {socket_name(*words) for words in (("/a", "foo", "b"), ("/a", "foo", "c"),
                                               ("/b", "foo", "b"), ("/a", "bar", "b"))}  # fmt: skip
    assert len(names) == 4 and all(len(name) < 100 for name in names)
