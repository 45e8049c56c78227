"""What goes wrong with real machines: a clear error, its exit code, and nothing left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from protocol.certificates import KeyPair
from protocol.messages.common import InstanceNames
from protocol.status import Status
from tests.instances.site import GREETING, SMALL, Site, give_up, silent_disk, site
from tests.interop.grpc_client import GrpcClient
from tools import records

QEMU = "qemu-system-x86_64"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a disk that QEMU runs, and that never answers."""
    return silent_disk(tmp_path_factory.mktemp("disk") / "disk.raw")


@pytest.fixture(scope="module")
def quiet(qemu: None) -> Iterator[Site]:
    with site() as here:
        yield here


def launch(here: Site, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return here.cli("launch", "--name", name, *SMALL, *arguments)


def nothing_is_left(here: Site, name: str) -> bool:
    """Nor comes: a launch that is being undone has its name still, and may have no files yet."""
    gone = f'instance "{name}" does not exist' in here.cli("info", name).stderr
    return gone and here.kept_of(name) == [] and here.qemus_of(name) == []


@contextmanager
def path_with(tmp_path: Path, script: str | None) -> Iterator[str]:
    """A PATH with all that a launch needs, and `script` or nothing as QEMU."""
    place = tmp_path / "bin"
    place.mkdir()
    for program in ("qemu-img", "ssh", "sh", "echo"):
        found = shutil.which(program)
        assert found is not None
        (place / program).symlink_to(found)
    if script is not None:
        (place / QEMU).write_text(f"#!/bin/sh\n{script}\n")
        (place / QEMU).chmod(0o755)
    yield str(place)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--name", "foo_bar"), "Invalid instance name supplied: foo_bar"),
        (("--name", "1foo"), "Invalid instance name supplied: 1foo"),
        (("--memory", "127M"), "Invalid memory size value supplied: 127M."),
        (("--disk", "1M"), "Invalid disk size value supplied: 1M."),
        (("--cpus", "256"), "256 CPUs are more than an instance can have"),
        (("file:///no/such/image",), "Custom image `/no/such/image` does not exist."),
        (("no-such-image",), "launch failed: "),
        (("nowhere:noble",), "Remote 'nowhere' is not found."),
    ],
)
def test_what_can_t_be_launched_is_refused(
    quiet: Site, disk: str, arguments: tuple[str, ...], why: str
) -> None:
    image = () if arguments[0][0] != "-" else (disk,)
    answer = launch(quiet, "foo", *arguments, *image)
    assert (answer.returncode, why in answer.stderr) == (2, True), answer
    assert quiet.states() == {}


@pytest.mark.parametrize("content", [b"", b"no image at all", b"QFI\xfb" + b"\xff" * 4096])
def test_an_image_that_is_none_is_refused(quiet: Site, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "image").write_bytes(content)
    answer = launch(quiet, "foo", f"file://{tmp_path}/image")
    assert answer.returncode == 2 and "launch failed: " in answer.stderr, answer
    assert nothing_is_left(quiet, "foo")


def test_bad_user_data_is_refused_before_anything_is_made(quiet: Site) -> None:
    answer = quiet.cli("launch", "--name", "bad", "--cloud-init", "-", input="users: 3\n")
    assert answer.returncode == 2 and "`users` must be a list of users." in answer.stderr
    assert not quiet.logged("launch of bad: image")


def test_a_guest_that_never_answers_ends_the_wait_and_stays(quiet: Site, disk: str) -> None:
    answer = launch(quiet, "foo", "--timeout", "1", disk)
    assert answer.returncode == 5, answer
    assert "Timed out waiting for instance launch." in answer.stderr
    assert "`multipass info -v` what it printed" in answer.stderr
    # Also where the time was over before the boot.
    quiet.wait_for(lambda: quiet.state("foo") == "Starting", "the instance that was promised")
    quiet.wait_for(lambda: tells_its_console(quiet, "foo"), "its greeting")
    assert tells_its_console(quiet, "foo")  # as often as it is asked for
    quiet.done("stop", "--force", "foo")
    assert quiet.state("foo") == "Stopped"
    told = quiet.cli("restart", "foo")
    assert (told.returncode, told.stderr) == (
        2, "restart failed: Cannot restart instance 'foo', as it is stopped. "
        "`multipass start foo` starts it.\n",
    )  # fmt: skip
    waiting = quiet.starting("foo")
    quiet.wait_for(lambda: quiet.state("foo") == "Starting", "the start")
    refused = quiet.cli("stop", "foo")
    assert refused.returncode == 2 and "while starting" in refused.stderr
    assert "Use --force" in refused.stderr
    give_up(waiting)
    quiet.done("stop", "--force", "foo")
    answer = quiet.cli("start", "--timeout", "1", "foo")
    assert answer.returncode == 5, answer
    assert "Timed out waiting for instance to start." in answer.stderr
    assert "`multipass info -v` what it printed" in answer.stderr
    quiet.wait_for(lambda: tells_its_console(quiet, "foo"), "the start, which went on")
    quiet.kill_daemon()
    assert quiet.state("foo") == "Starting"
    quiet.done("delete", "--purge", "foo")
    assert nothing_is_left(quiet, "foo")


def tells_its_console(here: Site, name: str) -> bool:
    told = here.cli("info", "-v", name).stderr
    return f"{name} does not answer; the end of its console: {GREETING.decode()}" in told


def test_a_client_without_a_clock_is_told_what_the_guest_printed(quiet: Site, disk: str) -> None:
    quiet.run_silent("mute", disk)
    quiet.wait_for(lambda: tells_its_console(quiet, "mute"), "its greeting")
    sandbox = quiet.sandbox
    pair = KeyPair(
        key=sandbox.key("alice").read_bytes(),
        certificate=sandbox.certificate("alice").read_bytes(),
    )
    with GrpcClient(quiet.daemon, pair) as client:
        names = InstanceNames(instance_name=["mute"])
        answer = client.call("start", instance_names=names, timeout=1)
    assert answer.status is Status.DEADLINE_EXCEEDED
    assert answer.message == (
        "The following errors occurred:\n"
        f"mute: timed out waiting for response; the end of its console: {GREETING.decode()}"
    )
    quiet.done("delete", "--purge", "mute")


def test_ctrl_c_while_it_boots_leaves_an_instance_that_goes_on(quiet: Site, disk: str) -> None:
    waiting = ("Waiting for initialization to complete", "\x03")
    said = quiet.on_terminal("launch", "--name", "left", *SMALL, disk, answers=[waiting])
    assert said.returncode == 130
    assert said.output.endswith("\x1b[2K\x1b[0A\x1b[0E")  # no half line is left
    assert quiet.state("left") == "Starting" and len(quiet.qemus_of("left")) == 1
    quiet.done("delete", "--purge", "left")
    assert nothing_is_left(quiet, "left")


def test_a_killed_qemu_is_a_stopped_instance_whose_reason_is_told(quiet: Site, disk: str) -> None:
    launching = quiet.launching("dies", disk)
    (pid,) = quiet.qemus_of("dies")
    os.kill(pid, signal.SIGKILL)
    _, told = launching.communicate()
    assert launching.returncode == 2
    assert "dies: the instance ended while it was waited for: QEMU ended unexpectedly" in told
    assert quiet.state("dies") == "Stopped"
    assert "dies is not running: QEMU ended unexpectedly" in quiet.cli("info", "-v", "dies").stderr
    assert quiet.cli("info", "dies").stderr == ""
    quiet.done("delete", "--purge", "dies")


def test_ctrl_c_before_the_machine_runs_leaves_nothing(quiet: Site, tmp_path: Path) -> None:
    fifo = tmp_path / "slow.img"
    with fifo.open("wb") as file:
        file.truncate(3 << 30)  # takes a while to be read
    launching = quiet.begin("launch", "--name", "hasty", *SMALL, f"file://{fifo}")
    quiet.wait_for(lambda: quiet.logged("launch of hasty: image"), "the download")
    launching.send_signal(signal.SIGINT)
    launching.communicate()
    assert launching.returncode not in (0, 2)
    quiet.wait_for(lambda: nothing_is_left(quiet, "hasty"), "the removal")
    assert not quiet.logged("launch of hasty: record") or quiet.states() == {}


def test_ctrl_c_at_each_stage_leaves_nothing_or_an_instance_that_goes_on(
    quiet: Site, disk: str
) -> None:
    for stage in ("image", "overlay", "seed", "record", "start", "boot"):
        name = f"at-{stage}"
        launching = quiet.begin("launch", "--name", name, *SMALL, disk)
        quiet.wait_for(partial(quiet.logged, f"launch of {name}: {stage}"), stage)
        launching.send_signal(signal.SIGINT)
        launching.communicate()
        assert launching.returncode == 130
        quiet.wait_for(partial(settled, quiet, name), f"an end after {stage}")
        if ended(quiet, name) == ["launched"]:
            quiet.done("delete", "--purge", name)
        assert nothing_is_left(quiet, name)


def ended(here: Site, name: str) -> list[str]:
    """How its launch ended, as the journal has it."""
    pattern = rf"\[audit\] (?:launch of )?{name} .*?was (launched|cancelled)"
    return re.findall(pattern, here.daemon.log_text())


def settled(here: Site, name: str) -> bool:
    if ended(here, name) == ["launched"]:
        return here.states().get(name) == "Starting" and len(here.qemus_of(name)) == 1
    return ended(here, name) == ["cancelled"] and nothing_is_left(here, name)


def test_two_launches_of_one_name_make_one(quiet: Site, disk: str) -> None:
    both = [quiet.begin("launch", "--name", "twin", *SMALL, disk) for _ in "ab"]
    quiet.wait_for(lambda: any(each.poll() is not None for each in both), "the refusal")
    (refused,) = (each for each in both if each.poll() is not None)
    told = refused.communicate()[1]
    reasons = ('instance "twin" already exists', 'instance "twin" is being prepared')
    assert refused.returncode == 2 and any(reason in told for reason in reasons), told
    quiet.wait_for(lambda: quiet.logged("launch of twin: boot"), "the other one's machine")
    quiet.done("delete", "--purge", "twin")
    assert [each.wait() for each in both] == [2, 2]


def test_twenty_commands_at_once_leave_one_machine_or_none(quiet: Site, disk: str) -> None:
    quiet.run_silent("busy", disk)
    commands = [
        ("start", "--timeout", "1", "busy"),
        ("stop", "--force", "busy"),
        ("suspend", "busy"),
        ("restart", "--timeout", "1", "busy"),
        ("info", "busy"),
    ] * 4
    with ThreadPoolExecutor(len(commands)) as pool:
        answers = list(pool.map(lambda command: quiet.cli(*command), commands))
    assert {each.returncode for each in answers} <= {0, 2, 5}, answers
    assert not any("journal tells more" in each.stderr for each in answers), answers
    assert len(quiet.qemus_of("busy")) <= 1
    quiet.done("delete", "--purge", "busy")
    assert nothing_is_left(quiet, "busy")


def test_purging_while_others_start_it_ends_in_nothing(quiet: Site, disk: str) -> None:
    quiet.run_silent("short", disk)
    commands = [("delete", "--purge", "short"), ("start", "--timeout", "1", "short")] * 5
    with ThreadPoolExecutor(len(commands)) as pool:
        answers = list(pool.map(lambda command: quiet.cli(*command), commands))
    assert not any("journal tells more" in each.stderr for each in answers), answers
    assert nothing_is_left(quiet, "short")


def test_a_missing_qemu_is_named(tmp_path: Path, disk: str, qemu: None) -> None:
    with path_with(tmp_path, None) as path, site({"PATH": path}) as here:
        answer = launch(here, "foo", disk)
        assert answer.returncode == 2
        assert f"The program {QEMU} is missing." in answer.stderr
        assert "install the package qemu-system-x86" in answer.stderr
        assert nothing_is_left(here, "foo")
        assert not here.logged("launch of foo: download"), "known before anything is fetched"
        check_start_fails(here, f"The program {QEMU} is missing.")


def test_a_qemu_that_crashes_at_start_is_quoted(
    tmp_path: Path, disk: str, tiny_image: None
) -> None:
    script = "echo some warning >&2; echo 'qemu: no such luck' >&2; exit 1"
    with path_with(tmp_path, script) as path, site({"PATH": path}) as here:
        answer = launch(here, "foo", disk)
        assert answer.returncode == 2
        assert "foo: QEMU did not start: qemu: no such luck" in answer.stderr
        assert nothing_is_left(here, "foo")
        check_start_fails(here, "old: QEMU did not start: qemu: no such luck")


def check_start_fails(here: Site, why: str) -> None:
    """Of one that was launched in better times; it stays as it was."""
    here.daemon.stop()
    records.put(here.sandbox, records.make("old"))
    here.daemon.start()
    answer = here.cli("start", "old")
    assert answer.returncode == 2 and why in answer.stderr, answer
    assert here.states() == {"old": "Stopped"} and not here.qemus()
    here.done("delete", "--purge", "old")
