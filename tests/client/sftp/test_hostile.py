"""What a server that lies can do: write nothing outside the target, and take little memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import pytest

from client.sftp import names, protocol, session
from client.sftp.protocol import ProtocolError
from client.sftp.session import Lost
from tests.client.sftp.server import DIRECTORY, FILE, LINK, Liar, listing, packet, string

BAD_NAMES = [b"../out", b"/etc/out", b"a/b", b"", b"\0", b"out\0", b"x" * 256, b"./out"]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def below(place: Path) -> list[str]:
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def test_names_that_lead_elsewhere_are_refused_and_the_others_arrive(target: Path) -> None:
    bad = [(name, kind) for name in BAD_NAMES for kind in (FILE, DIRECTORY, LINK)]
    listed = [*bad, (b".", DIRECTORY), (b"..", DIRECTORY), (b"good", FILE)]
    with Liar(dir=listed).client() as client:
        client.download("dir", target)
    assert below(target.parent) == ["target", "target/dir", "target/dir/good"]
    assert len(client.told) == len(bad)
    assert all("the instance sent a name that is none" in sentence for sentence in client.told)
    assert all(sentence.isprintable() for sentence in client.told)


def test_a_link_that_becomes_a_directory_is_not_followed(target: Path, tmp_path: Path) -> None:
    """The same name twice: first a link out of the target, then what is to be written there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    liar = Liar(dir=[(b"swap", LINK), (b"swap", DIRECTORY), (b"swap", FILE)])
    liar.listings[b"dir/swap"] = iter([(b"kept", FILE), (b"new", FILE)])
    liar.link = bytes(outside)
    with liar.client() as client:
        client.download("dir", target)
    assert below(outside) == ["kept"]
    assert (outside / "kept").read_text() == "kept"


def test_a_directory_that_lists_itself_is_no_endless_descent(target: Path) -> None:
    class Endless(dict[bytes, object]):
        """Every directory has one in it."""

        def __contains__(self, path: object) -> bool:
            return True

        def __missing__(self, path: bytes) -> object:
            self[path] = iter([(b"d", DIRECTORY)])
            return self[path]

    liar = Liar()
    liar.listings = Endless()  # type: ignore[assignment]
    with liar.client() as client:
        client.download("d", target)
    assert len(below(target)) == names.MAX_DEPTH
    assert [sentence.partition(": ")[2] for sentence in client.told] == [
        "too many directories within each other"
    ]


def test_a_listing_of_any_length_takes_no_memory(target: Path) -> None:
    count = 1000
    with Liar(dir=((b"same", FILE) for _ in range(count))).client() as client:
        tracemalloc.start()
        client.download("dir", target)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert below(target) == ["dir", "dir/same"]
    assert client.moved == count * 7
    assert peak < 4 << 20


@pytest.mark.parametrize("size", [0, 1, 1 << 40, (1 << 64) - 1])
def test_a_size_that_is_wrong_changes_nothing(target: Path, size: int) -> None:
    liar = Liar()
    liar.size = size
    with liar.client() as client:
        client.download("file", target / "file")
    assert (target / "file").read_bytes() == b"planted"
    assert liar.asked.count(protocol.READ) * session.LEAST <= 3 * session.IN_FLIGHT


LIES = {
    "a packet of 4 GiB": lambda number, body: b"\xff\xff\xff\xff",
    "an empty packet": lambda number, body: b"\0\0\0\0",
    "another request's number": lambda number, body: packet(
        protocol.HANDLE, struct.pack(">I", number + 1) + string(b"h")
    ),
    "a handle that is too long": lambda number, body: packet(
        protocol.HANDLE, struct.pack(">I", number) + string(b"h" * 257)
    ),
    "a string that ends behind the packet": lambda number, body: packet(
        protocol.HANDLE, struct.pack(">II", number, 100)
    ),
    "success instead of a handle": lambda number, body: packet(
        protocol.STATUS, struct.pack(">II", number, 0)
    ),
    "names instead of a handle": lambda number, body: packet(
        protocol.NAME, struct.pack(">I", number) + listing([(b"x", FILE)])
    ),
    "no packet at all": lambda number, body: b"Welcome to the instance!\r\n" * 10,
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_sftp_ends_the_transfer_and_leaves_nothing(target: Path, lie: str) -> None:
    liar = Liar()
    liar.answers[protocol.OPEN] = LIES[lie]
    with liar.client() as client:
        with pytest.raises(ProtocolError):
            client.download("file", target / "file")
    assert below(target) == []


@pytest.mark.parametrize("extra", [-1, 1, 100_000])
def test_more_data_than_was_asked_for_is_refused(target: Path, extra: int) -> None:
    def more(number: int, body: bytes) -> bytes:
        length = int.from_bytes(body[-4:], "big") + extra if extra > 0 else 0
        return packet(protocol.DATA, struct.pack(">I", number) + string(b"x" * length))

    liar = Liar()
    liar.answers[protocol.READ] = more
    with liar.client() as client:
        with pytest.raises(ProtocolError):
            client.download("file", target / "file")
    assert below(target) == []


def test_an_empty_part_of_a_listing_is_no_endless_loop(target: Path) -> None:
    liar = Liar(dir=[])
    liar.answers[protocol.READDIR] = lambda number, body: packet(
        protocol.NAME, struct.pack(">II", number, 0)
    )
    with liar.client() as client:
        with pytest.raises(ProtocolError):
            client.download("dir", target)


def test_a_server_that_goes_away_leaves_what_was_there(target: Path) -> None:
    def gone(number: int, body: bytes) -> bytes:
        raise OSError

    liar = Liar()
    liar.answers[protocol.READ] = gone
    (target / "file").write_text("old")
    with liar.client() as client:
        with pytest.raises(Lost):
            client.download("file", target / "file")
    assert below(target) == ["file"]
    assert (target / "file").read_text() == "old"


def test_no_set_user_id_bit_arrives(target: Path) -> None:
    with Liar(dir=[(b"file", FILE | 0o7777)]).client() as client:
        client.download("dir", target)
    assert (target / "dir/file").stat().st_mode & 0o7777 == 0o777


def test_what_is_denied_says_how_to_get_there_not_the_words_of_the_server(target: Path) -> None:
    liar = Liar()
    refused = struct.pack(">I", protocol.PERMISSION_DENIED) + string(b"\x1b[31mred") + string(b"")
    liar.answers[protocol.OPEN] = lambda number, body: packet(
        protocol.STATUS, struct.pack(">I", number) + refused
    )
    with liar.client() as client:
        client.download("file", target / "file")
    assert client.told == ["cannot open remote file file: Permission denied"]
    assert "multipass exec <instance> -- sudo mv" in client.report.hints[0]


def test_no_more_is_asked_for_than_may_be_on_the_way(target: Path) -> None:
    liar = Liar()
    liar.content = os.urandom(12 << 20)
    liar.size = 1 << 60
    with liar.client() as client:
        client.download("file", target / "file")
    assert (target / "file").read_bytes() == liar.content
