"""The file of remotes: what is read is what was written, and all else is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import files
from client.remotes import pinning, table
from client.remotes.table import MOST, NotRemotes, Remote, Remotes
from protocol.addresses import TcpAddress
from protocol.certificates import make_root

ROOT = make_root().certificate.decode()
NAMES = st.text("abcxyz-._019", min_size=1, max_size=8).filter(
    lambda text: table.is_name(text) and text != table.LOCAL
)
ENTRIES = st.dictionaries(st.integers(1, 65535), st.one_of(st.just(""), NAMES), max_size=6)


@given(ENTRIES, st.data())
def test_what_is_read_is_what_was_written(entries: dict[int, str], data: st.DataObject) -> None:
    remotes = Remotes()
    for port, name in entries.items():
        if remotes.named(name) is None:
            remotes.keep(Remote(f"[::1]:{port}", name, ROOT))
    names = [each.name for each in remotes.every() if each.name]
    remotes.default = data.draw(st.sampled_from(["", *names]))
    again = table.parse(remotes.text())
    assert again.text() == remotes.text() and again.default == remotes.default
    for each in remotes.every():
        again.forget(each)
    assert not len(again) and not again.default


def test_a_server_is_found_by_its_address_in_any_case() -> None:
    remotes = Remotes()
    remotes.keep(Remote("lab.example:50051", "lab", ROOT))
    found = remotes.at(TcpAddress("Lab.Example", 50051))
    assert found is not None and found.shown == "lab (lab.example:50051)"
    assert remotes.at(TcpAddress("lab.example", 50052)) is None and remotes.named("") is None


def entry(**changes: object) -> dict[str, object]:
    return {"name": "lab", "address": "lab:1", "root_certificates": ROOT, **changes}


@pytest.mark.parametrize(
    ("default", "servers"),
    [
        ("lab", []),
        (1, []),
        ("", {}),
        ("", [1]),
        ("", [{}]),
        ("", [entry(name="local")]),
        ("", [entry(name="\x1b[2J")]),
        ("", [entry(address="unix:/run/x")]),
        ("", [entry(address="lab")]),
        ("", [entry(root_certificates="")]),
        ("", [entry(root_certificates=f"\u00e9{ROOT}")]),
        ("", [entry(), entry(name="other")]),
        ("", [entry(), entry(address="lab:2")]),
    ],
)
def test_what_no_client_wrote_is_refused(default: object, servers: object) -> None:
    with pytest.raises(NotRemotes):
        table.parse(json.dumps({"default": default, "servers": servers}))
    with pytest.raises(NotRemotes):
        table.parse("[" * 100_000)


def test_as_many_as_the_limit_allows_fit_into_the_file() -> None:
    remotes = Remotes()
    for number in range(MOST):
        roots = ROOT.ljust(pinning.MAX_TEXT, "\n")  # a line's end takes two characters
        remotes.keep(Remote(f"{'h' * 250}{number}:50051", f"name-{number}", roots))
    assert len(remotes.text()) < files.MAX_FILE
