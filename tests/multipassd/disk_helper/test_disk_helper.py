"""qemu-img parses what strangers and guests wrote: it has no rights but on the files handed to it.

A script in its place tells what it finds; the real one works on real disks.
"""

import ast
import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from multipassd.disk_helper import client, request
from multipassd.disk_helper.owner import group, user
from multipassd.disk_helper.request import Answer, QemuImgError
from tests import waiting
from tests.reachable import reachable

ROOT = Path(__file__).resolve().parents[3]
Fake = Callable[[str], Path]

needs_qemu_img = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Have a script run in qemu-img's place; the directory that it is in, open to all."""

    def put(script: str) -> Path:
        place = reachable(tmp_path, 0o777)
        (place / "qemu-img").write_text(f"#!/bin/sh\n{script}\n")
        (place / "qemu-img").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
        return place

    return put


def asked(*words: str, descriptors: tuple[int, ...] = ()) -> Answer:
    """From the event loop, as the daemon; and from a program without one, which is answered alike
    but for the numbers of processes."""
    answer = asyncio.run(client.Disks().ask(*words, descriptors=descriptors))
    other = client.ask(*words, descriptors=descriptors)
    assert (other.code, bool(other.output)) == (answer.code, bool(answer.output))
    return answer


def test_it_can_have_no_more_rights_than_it_has_and_sees_no_other_file(fake: Fake) -> None:
    fake("grep -E 'NoNewPrivs|Cap(Eff|Prm|Amb)' /proc/self/status; ls /proc/$$/fd; pwd; env")
    with open(os.devnull, "rb") as handed:
        said = asked("info", descriptors=(handed.fileno(),)).output.split("\n")
    assert "NoNewPrivs:\t1" in said
    if os.geteuid() == 0:
        assert [line for line in said if line.startswith("Cap")] == [
            f"Cap{kind}:\t{0:016x}" for kind in ("Prm", "Eff", "Amb")
        ]
    # Three of its own, the script that the shell reads, and what was handed over.
    assert [line for line in said if line.isdigit()] in (
        ["0", "1", "10", "100", "2"],
        ["0", "1", "100", "2"],
    )
    names = {line.partition("=")[0] for line in said if "=" in line}
    assert names <= {"PATH", "LANG", "MALLOC_ARENA_MAX", "PWD", "SHLVL", "_", "OLDPWD"}


@pytest.mark.root
def test_roots_becomes_a_user_without_rights_or_network(fake: Fake) -> None:
    fake("id -u; id -G; cat /proc/self/net/dev | wc -l; readlink /proc/self/ns/net")
    uid, groups, devices, namespace, _ = asked("info").output.split("\n")
    assert uid == str(user()) != "0"
    assert groups == str(group()) != "0"
    assert devices.strip() == "3"  # two lines above, and the loopback interface
    assert namespace != os.readlink("/proc/self/ns/net")


@pytest.mark.root
@needs_qemu_img
def test_it_opens_nothing_of_roots_by_a_path(tmp_path: Path) -> None:
    secret = reachable(tmp_path) / "secret.raw"
    secret.write_bytes(bytes(1 << 20))
    secret.chmod(0o600)
    answer = asked("info", "-f", "raw", str(secret))
    assert answer.code == 1 and "Permission denied" in answer.reason
    secret.chmod(0o644)
    assert asked("info", "-f", "raw", str(secret)).code == 0


@pytest.mark.parametrize(
    ("verb", "most"), [("info", 0), ("check", 0), ("dd", 1 << 20), ("create", -1), ("resize", -1)]
)
def test_what_only_reads_can_write_no_file(fake: Fake, verb: str, most: int) -> None:
    fake("ulimit -f; ulimit -c")
    wanted = "unlimited" if most < 0 else str(most // 512)
    assert asked(verb).output.split() == [wanted, "0"]


def test_who_hangs_up_ends_it(fake: Fake) -> None:
    place = fake('echo $$ > "${0%/*}/pid"; exec sleep 600')

    async def story() -> int:
        asking_it = asyncio.create_task(client.Disks().ask("convert", descriptors=()))
        await asyncio.to_thread(waiting.until, lambda: (place / "pid").exists())
        await asyncio.to_thread(waiting.until, lambda: bool((place / "pid").read_text()))
        asking_it.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking_it
        return int((place / "pid").read_text())

    pid = asyncio.run(story())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_talks_without_end_is_ended(fake: Fake) -> None:
    fake("exec yes")
    assert asked("check").code == -signal.SIGKILL


def test_one_that_takes_too_long_is_a_sentence(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("exec sleep 600")
    monkeypatch.setattr(request, "SECONDS", 0.5)
    with pytest.raises(QemuImgError, match="qemu-img check took longer than 0 s"):
        asked("check")
    with pytest.raises(QemuImgError, match="qemu-img check took longer than 0 s"):
        client.ask("check", descriptors=())


def test_a_helper_that_is_not_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(client.SOCKET, f"{tmp_path}/none")
    with pytest.raises(QemuImgError, match=f"can't be asked at {tmp_path}/none: No such file"):
        asked("check")
    with pytest.raises(QemuImgError, match=f"can't be asked at {tmp_path}/none: No such file"):
        client.ask("check", descriptors=())


def test_a_missing_program_is_told_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asked("info").code == request.MISSING


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"not": "words"}\n', "no JSON array"),
        (b"[1]\n", "no list of words"),
        (b"[]\n", "no list of words"),
        (b"info\n", "not JSON"),
    ],
)
def test_a_request_that_is_none_is_answered(line: bytes, why: str) -> None:
    with client._connected() as connection:
        connection.sendall(line)
        answer = request.answer(json.loads(connection.makefile("rb").readline()))
    assert answer.code == 1 and why in answer.reason


def test_what_it_says_is_fit_to_show() -> None:
    assert Answer(1, "", "first\nlast\x1b[2J" + "x" * 1000).reason == "last?[2J" + "x" * 292
    assert Answer(-11, "", "").reason == "qemu-img ended with code -11"


def test_nothing_else_in_the_daemon_runs_it() -> None:
    """Only the helper's program has the name for a command, and nothing else spells it out."""
    spelled = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "multipassd").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value == request.PROGRAM
    }
    # The latter says which package has it.
    assert spelled == {"multipassd/disk_helper/request.py", "multipassd/system/programs.py"}
