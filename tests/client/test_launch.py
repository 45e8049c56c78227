"""`launch` against a foreign service: what is sent, shown and said about failures."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.arguments import images
from client.errors import UsageError
from protocol.messages.access import GetReply
from protocol.messages.launch import LaunchError, LaunchProgress, LaunchReply, LaunchRequest
from protocol.messages.mounts import MountReply, MountRequest
from tests.client.program import PROGRAM
from tests.client.service import SKIPPING, Connect, detailed, failing, replying
from tests.client.terminal import Terminal

Options = LaunchRequest.NetworkOptions
Progress = LaunchProgress.ProgressTypes
STAGES = (
    LaunchReply(create_message="Creating happy-panda"),
    *(
        LaunchReply(launch_progress=LaunchProgress(type=kind, percent_complete=percent))
        for kind, percent in (
            (Progress.IMAGE, "0"),
            (Progress.IMAGE, "4"),
            (Progress.IMAGE, "55"),
            (Progress.IMAGE, "100"),
            (Progress.IMAGE, "100"),
            (Progress.VERIFY, "-1"),
            (Progress.VERIFY, "-1"),
        )
    ),
    LaunchReply(create_message="Starting happy-panda"),
    LaunchReply(reply_message="Waiting for initialization to complete"),
    LaunchReply(vm_instance_name="happy-panda"),
)


def test_launch_says_each_step_once_where_nothing_can_be_redrawn(connect: Connect) -> None:
    program, service = connect(launch=replying(*STAGES))
    result = program.run("launch")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "Creating happy-panda",
        "Retrieving image: 0%",
        "Retrieving image: 55%",
        "Retrieving image: 100%",
        "Verifying image",
        "Starting happy-panda",
        "Waiting for initialization to complete",
        "Launched: happy-panda",
    ]
    request = LaunchRequest.decode(service.requests["launch"][0])
    assert request == LaunchRequest(timeout=-1, time_zone="Europe/Berlin")


def test_launch_on_a_terminal_redraws_one_line(connect: Connect, terminals: list[Terminal]) -> None:
    program, _ = connect(launch=replying(*STAGES))
    terminal = Terminal(program, "launch")
    terminals.append(terminal)
    assert terminal.finish() == (0, "")
    clear = "\x1b[2K\x1b[0A\x1b[0E"
    assert f"{clear}Creating happy-panda  " in terminal.shown
    assert f"{clear}Retrieving image: 55%" in terminal.shown
    assert terminal.shown.endswith(f"{clear}Launched: happy-panda\r\n")
    assert terminal.shown.count("\n") == 1


def test_launch_sends_all_options(connect: Connect, tmp_path: Path) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    (tmp_path / "init").write_text("#cloud-config\npackages: [jq]\n")
    words = (
        "launch daily:noble -n x -c 3 -d 9G --memory 2.5G --timeout 77 -vv --network one"
        " --network name=two,Mode=MANUAL,,mac=52:54:00:Ab:cd:ef --bridged"
    )
    result = program.run(*words.split(), "--cloud-init", str(tmp_path / "init"))
    assert (result.code, result.out, result.err) == (0, "Launched: x\n", "")
    assert LaunchRequest.decode(service.requests["launch"][0]) == LaunchRequest(
        instance_name="x",
        image="noble",
        remote_name="daily",
        num_cores=3,
        mem_size="2.5G",
        disk_space="9G",
        timeout=77,
        verbosity_level=2,
        time_zone="Europe/Berlin",
        cloud_init_user_data="#cloud-config\npackages: [jq]\n",
        network_options=[
            Options(id="bridged"),
            Options(id="one"),
            Options(id="two", mode=1, mac_address="52:54:00:Ab:cd:ef"),
        ],
    )


@pytest.mark.parametrize(
    ("given", "remote", "image"),
    [
        ("24.04", "", "24.04"),
        ("daily:devel", "daily", "devel"),
        ("https://host/a:b:c.img", "", "https://host/a:b:c.img"),
        ("file:///a/b:c:d.img", "", "file:///a/b:c:d.img"),
        ("file://b.img", "", "file:///b.img"),  # the tests' client runs in /
    ],
)
def test_images_are_names_or_urls(connect: Connect, given: str, remote: str, image: str) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    assert program.run("launch", given).code == 0
    request = LaunchRequest.decode(service.requests["launch"][0])
    assert (request.remote_name, request.image) == (remote, image)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("file://~/a.img", "file:///home/alice/a.img"),
        ("./a.img", "file:///a.img"),  # the tests' client runs in /
        ("../x/a.img", "file:///x/a.img"),
        ("/srv/a.img", "file:///srv/a.img"),
        ("~/a.img", "file:///home/alice/a.img"),
    ],
)
def test_a_path_is_answered_with_the_url_to_write(connect: Connect, given: str, url: str) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    said = program.run("launch", given, HOME="/home/alice")
    assert said.code == 1
    assert said.err.splitlines()[0].endswith(f"rite {url}")
    assert "launch" not in service.requests


def test_the_name_of_a_disk_that_lies_here_is_answered_with_its_url(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("disk.img").touch()
    with pytest.raises(UsageError, match=f"write file://{tmp_path}/disk.img"):
        images.parse("disk.img")
    assert images.parse("other.img") == ("", "other.img")


def test_the_former_name_of_memory_still_works(connect: Connect) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    result = program.run("launch", "--mem", "512M")
    assert result.err == (
        'Warning: the "--mem" long option is deprecated in favour of "--memory". '
        "Please update any scripts, etc.\n"
    )
    assert LaunchRequest.decode(service.requests["launch"][0]).mem_size == "512M"


def test_without_mounts_the_primary_has_none(connect: Connect) -> None:
    program, service = connect(
        launch=replying(LaunchReply(vm_instance_name="primary")),
        get=replying(GetReply(value="false")),
    )
    result = program.run("launch", "--name", "primary", "--mount", "/tmp:x")
    assert (result.code, result.out, result.err) == (0, f"Launched: primary\n{SKIPPING}", "")
    assert "mount" not in service.requests


def test_what_is_to_be_mounted_is_once_the_instance_runs_and_the_home_in_the_primary(
    connect: Connect, tmp_path: Path
) -> None:
    program, service = connect(
        launch=replying(LaunchReply(vm_instance_name="primary")),
        get=replying(GetReply(value="true")),
        mount=replying(MountReply(reply_message="Enabling support for mounting"), MountReply()),
    )
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    result = program.run(
        "launch", "--name", "primary", "--mount", "/tmp:/x:y", "--mount", "/usr/", HOME=str(home)
    )
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Launched: primary\n"
        "Mounted '/tmp' into 'primary:/x:y'\n"
        "Mounted '/usr/' into 'primary:/home/ubuntu/usr'\n"
        f"Mounted '{home}' into 'primary:Home'\n"
    )
    asked = [MountRequest.decode(each) for each in service.requests["mount"]]
    assert [each.source_path for each in asked] == ["/tmp", "/usr", str(home)]
    targets = [(each.target_paths[0].instance_name, each.target_paths[0].target_path)
               for each in asked]  # fmt: skip
    assert targets == [("primary", "/x:y"), ("primary", "/home/ubuntu/usr"), ("primary", "Home")]


def test_another_source_may_take_the_place_of_the_home(connect: Connect) -> None:
    program, service = connect(
        launch=replying(LaunchReply(vm_instance_name="primary")),
        get=replying(GetReply(value="true")),
        mount=replying(MountReply()),
    )
    result = program.run("launch", "--name", "primary", "--mount", "/tmp:Home")
    assert result.out == "Launched: primary\nMounted '/tmp' into 'primary:Home'\n"
    assert len(service.requests["mount"]) == 1


def test_a_mount_that_fails_after_a_launch_decides_the_exit_code(connect: Connect) -> None:
    program, _ = connect(
        launch=replying(LaunchReply(vm_instance_name="x")),
        get=replying(GetReply(value="true")),
        mount=failing(grpc.StatusCode.FAILED_PRECONDITION, "no"),
    )
    result = program.run("launch", "--name", "x", "--mount", "/tmp")
    assert (result.code, result.out, result.err) == (2, "Launched: x\n", "mount failed: no\n")


Code = LaunchError.ErrorCodes


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        (
            [Code.INVALID_DISK_SIZE],
            "Invalid disk size value supplied: 1.\n"
            "A disk has at least 512M, and no less than its image.",
        ),
        (
            [Code.INVALID_MEM_SIZE],
            "Invalid memory size value supplied: 2.\nAn instance needs at least 128M.",
        ),
        (
            [Code.INVALID_HOSTNAME],
            "Invalid instance name supplied: _\n"
            "A name is made of letters, digits and inner hyphens; it begins with a letter and has "
            "at most 63 characters.",
        ),
        (
            [Code.INVALID_DISK_SIZE, Code.INVALID_NETWORK],
            "Invalid network options supplied\n"
            "`multipass networks` lists the names that --network takes.",
        ),
        ([], ""),
        ([99], ""),
    ],
)
def test_what_is_wrong_with_a_launch_is_told_and_what_would_do(
    connect: Connect, codes: list[int], sentence: str
) -> None:
    wrong = detailed(
        grpc.StatusCode.INVALID_ARGUMENT,
        "Invalid arguments supplied",
        LaunchError(error_codes=[int(code) for code in codes]),
    )
    program, _ = connect(launch=wrong)
    result = program.run("launch", "-d", "1", "-m", "2", "-n", "_")
    expected = f"launch failed: Invalid arguments supplied\n{sentence}".rstrip() + "\n"
    assert (result.code, result.err) == (2, expected)


# The signal that comes just before the wait begins: to its thread alone, so that it ends no wait.
MISSED = """
import signal, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from client.main import main

def interrupt():
    sys.stdin.read()
    while Path(f"/proc/self/task/{threading.main_thread().native_id}/stat").read_text()\
            .rpartition(") ")[2][0] != "S":
        pass
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
sys.exit(main(["launch"]))
"""


@pytest.mark.parametrize("missed", [False, True])
def test_an_interrupt_ends_a_wait_and_hangs_up(connect: Connect, missed: bool) -> None:
    gone = threading.Event()

    def waits(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        context.add_callback(gone.set)
        yield LaunchReply(create_message="Creating x").encode()
        gone.wait(60)

    program, _ = connect(launch=waits)
    tree = str(PROGRAM.parents[1])
    command = [sys.executable, "-c", MISSED, tree] if missed else [str(PROGRAM), "launch"]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *command],
        env=program.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"Creating x\n"
        if missed:
            process.stdin.close()
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == process.stderr.read() == b""
    assert gone.wait(30)  # the service learns of it
