"""What was found in order is not looked at again, and nothing else passes for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from multipassd.certificates import certificate_checks, server_certificate
from multipassd.certificates.server_certificate import CERTIFICATE, CHECKED, KEY, ROOT_KEY, Identity
from protocol import certificates
from tools.sandbox import CHECKOUT

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


class Place:
    def __init__(self, base: Path) -> None:
        self.data = base / "data"
        self.root = base / "root.pem"
        self.directory = self.data / "certificates"

    def ensure(self, *names: str, at: datetime = NOW) -> Identity:
        return server_certificate.ensure(self.data, self.root, names, at.timestamp())

    @property
    def note(self) -> Path:
        return self.directory / CHECKED


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.ensure("host.example")
    return place


def sound(place: Place, found: Identity, *names: str, at: datetime = NOW) -> bool:
    return (
        certificate_checks.matches(found.certificate, found.key)
        and certificate_checks.is_issued_by(found.certificate, found.root)
        and certificate_checks.valid_at(found.certificate, at)
        and certificate_checks.names(found.certificate) >= {"localhost", *names}
        and found.root == place.root.read_bytes()
        and found.not_after == certificate_checks.pem_not_after(found.certificate)
    )


def test_a_start_that_finds_the_same_files_loads_no_cryptography(place: Place) -> None:
    script = """
import sys
sys.path[:0] = sys.argv[1:2]
from pathlib import Path
from multipassd.certificates import server_certificate
data, root = Path(sys.argv[2]), Path(sys.argv[3])
found = server_certificate.ensure(data, root, ["host.example"], float(sys.argv[4]))
same = found.certificate == (data / "certificates/localhost.pem").read_bytes()
print("cryptography" in sys.modules, same)
"""
    arguments = [str(CHECKOUT), str(place.data), str(place.root), str(NOW.timestamp() + 60)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", script, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False True\n"


def test_a_note_is_the_same_identity_as_a_close_look(place: Place) -> None:
    noted = place.ensure("host.example", at=NOW + DAY)
    place.note.unlink()
    assert place.ensure("host.example", at=NOW + DAY) == noted
    assert sound(place, noted, "host.example")


def _other_pair(place: Place) -> None:
    """Sound in itself, but of another root."""
    pair = certificates.make_server(certificates.make_root(NOW), ("host.example",), NOW)
    (place.directory / CERTIFICATE).write_bytes(pair.certificate)
    (place.directory / KEY).write_bytes(pair.key)


def _other_root(place: Place) -> None:
    place.root.write_bytes(certificates.make_root(NOW).certificate)


def _exchanged(first: str, second: str) -> Callable[[Place], None]:
    def exchange(place: Place) -> None:
        one, other = place.directory / first, place.directory / second
        a, b = one.read_bytes(), other.read_bytes()
        one.write_bytes(b)
        other.write_bytes(a)

    return exchange


def _moved_bytes(place: Place) -> None:
    """The same bytes in all, divided in another way."""
    certificate, key = place.directory / CERTIFICATE, place.directory / KEY
    whole = certificate.read_bytes() + key.read_bytes()
    certificate.write_bytes(whole[:100])
    key.write_bytes(whole[100:])


CHANGES: dict[str, Callable[[Place], None]] = {
    "another pair": _other_pair,
    "keys exchanged": _exchanged(KEY, ROOT_KEY),
    "another root": _other_root,
    "no key": lambda place: (place.directory / KEY).unlink(),
    "no root": lambda place: place.root.unlink(),
    "bytes moved": _moved_bytes,
    "cut off": lambda place: os.truncate(place.directory / CERTIFICATE, 300),
    "written by others": lambda place: (place.directory / KEY).chmod(0o666),
}


@pytest.mark.parametrize("change", CHANGES)
def test_files_that_changed_are_looked_at_closely(place: Place, change: str) -> None:
    CHANGES[change](place)
    assert sound(place, place.ensure("host.example"), "host.example")


def test_other_names_are_no_longer_what_was_looked_at(place: Place) -> None:
    found = place.ensure("host.example", "other.example")
    assert sound(place, found, "host.example", "other.example")
    assert place.ensure("host.example", "other.example") == found


@pytest.mark.parametrize("days", [-400, -2, 334, 336, 400, 3650])
def test_a_note_holds_for_its_time_alone(place: Place, days: int) -> None:
    """Before it was written, and after the server's certificate, or its root, is to be renewed."""
    at = NOW + days * DAY
    assert sound(place, place.ensure("host.example", at=at), "host.example", at=at)
    assert certificate_checks.valid_at(place.root.read_bytes(), at)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"digest": 1}', "\x00", "9" * 5000, "[" * 60_000]
)
def test_a_note_that_says_nothing_counts_for_nothing(place: Place, text: str) -> None:
    place.note.write_text(text)
    assert sound(place, place.ensure("host.example"), "host.example")


def test_a_note_without_time_zones_counts_for_nothing(place: Place) -> None:
    note = json.loads(place.note.read_text())
    place.note.write_text(json.dumps({**note, "until": "2099-01-01T00:00:00"}))
    assert sound(place, place.ensure("host.example"), "host.example")


def test_open_modes_are_still_closed(place: Place) -> None:
    for name in (KEY, ROOT_KEY):
        (place.directory / name).chmod(0o640)
    place.ensure("host.example")
    assert all((place.directory / name).stat().st_mode & 0o777 == 0o600 for name in (KEY, ROOT_KEY))
