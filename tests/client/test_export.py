"""`export` writes a file with the rights of its caller: whole, or nothing."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest

from protocol.messages.exports import ExportReply, ExportRequest, ImportRequest
from protocol.messages.launch import LaunchReply
from tests.client.program import PROGRAM
from tests.client.service import Connect, replying

PARTS = (ExportReply(step="Compressing"), ExportReply(size=6), ExportReply(data=b"abc"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "place"
    path.mkdir()
    return path


def test_the_file_is_whole_and_for_its_owner_alone(connect: Connect, place: Path) -> None:
    program, service = connect(export=replying(*PARTS, ExportReply(data=b"def")))
    path = place / "foo"
    done = program.run("export", "foo", str(path))
    assert (done.code, done.out.splitlines()[-1]) == (0, f"Exported: foo to {path}"), done
    assert path.read_bytes() == b"abcdef" and path.stat().st_mode & 0o777 == 0o600
    assert ExportRequest.decode(service.requests["export"][0]).instance_name == "foo"
    assert list(place.iterdir()) == [path]


def test_a_file_that_is_there_stays(connect: Connect, place: Path) -> None:
    program, service = connect(export=replying(*PARTS))
    path = place / "foo"
    path.write_text("mine")
    done = program.run("export", "foo", str(path))
    assert done.code == 2 and "exists already" in done.err
    assert path.read_text() == "mine" and not service.requests


@pytest.mark.parametrize("path", ["", "-", "{place}/"])
def test_what_names_no_file_is_refused_at_once(connect: Connect, place: Path, path: str) -> None:
    program, service = connect(export=replying(*PARTS))
    done = program.run("export", "foo", path.format(place=place))
    told = "An export is written to a file, which needs a name\n"
    assert (done.code, done.err) == (1, told) and not service.requests


def test_a_file_that_ends_early_or_can_not_be_written_leaves_nothing(
    connect: Connect, place: Path
) -> None:
    def fails(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield PARTS[1].encode()
        context.abort(grpc.StatusCode.INTERNAL, "no more")

    program, service = connect(export=replying(*PARTS))
    done = program.run("export", "foo", str(place / "foo"))
    assert done.code == 2 and "ended the file before it was whole" in done.err
    service.answers["export"] = fails
    done = program.run("export", "foo", str(place / "foo"))
    assert done.code == 2 and done.err.endswith("export failed: no more\n"), done
    done = program.run("export", "foo", str(place / "none/foo"))
    assert done.code == 2 and "No such file or directory" in done.err
    assert list(place.iterdir()) == []


def test_nothing_is_left_after_ctrl_c(connect: Connect, place: Path) -> None:
    reached, over = Event(), Event()

    def waits(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield from (part.encode() for part in PARTS)
        reached.set()
        over.wait(60)

    program, _ = connect(export=waits)
    command = ["env", "--default-signal=INT", str(PROGRAM), "export", "foo", str(place / "foo")]
    running = subprocess.Popen(command, env=program.environ, stdout=subprocess.DEVNULL)
    assert reached.wait(60)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) != 0
    over.set()
    assert list(place.iterdir()) == []


def test_an_import_names_the_file_by_its_whole_path(connect: Connect, place: Path) -> None:
    program, service = connect(**{"import": replying(LaunchReply(vm_instance_name="foo"))})
    for given in ("/srv/foo.export", "file:///srv/foo.export"):
        done = program.run("import", given, "--as-is", "-n", "bar")
        assert (done.code, done.out.splitlines()[-1]) == (0, "Imported: foo"), done
    for request in map(ImportRequest.decode, service.requests["import"]):
        assert (request.url, request.as_is) == ("file:///srv/foo.export", True)
        assert request.instance_name == "bar"
    assert program.run("import").code == program.run("export", "foo").code == 1
