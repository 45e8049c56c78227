"""The commands that make, use and end instances, against a foreign service."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protocol.codec import Message
from protocol.messages.common import InstanceNames, InstanceSnapshotPair
from protocol.messages.information import (
    FindReply,
    FindRequest,
    InfoReply,
    InfoRequest,
    NetworksReply,
    NetworksRequest,
)
from protocol.messages.launch import LaunchError, LaunchProgress, LaunchReply, LaunchRequest
from protocol.messages.lifecycle import (
    DeleteReply,
    DeleteRequest,
    PurgeReply,
    PurgeRequest,
    RecoverReply,
    RecoverRequest,
    RestartReply,
    RestartRequest,
    StartError,
    StartReply,
    StartRequest,
    StopReply,
    StopRequest,
    SuspendReply,
    SuspendRequest,
)
from tests.client.program import PROGRAM, Program
from tests.client.service import Service
from tests.client.test_foreign_service import failing, replying
from tests.client.test_prompts import Terminal

Answer = Callable[[Any, Any], Iterable[bytes]]
Connect = Callable[..., tuple[Program, Service]]
SKIPPING = "Skipping mount due to disabled mounts feature\n"
Options = LaunchRequest.NetworkOptions
Progress = LaunchProgress.ProgressTypes


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """connect(**answers): a client and the foreign service that it talks to."""
    services = []

    def start(**answers: Answer) -> tuple[Program, Service]:
        address = f"unix:{tmp_path}/socket"
        services.append(Service(address, tmp_path, **answers))
        program = Program(tmp_path / "home", address, services[0].root_certificate)
        program.environ["TZ"] = "Europe/Berlin"
        return program, services[0]

    yield start
    for service in services:
        service.close()


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def detailed(status: grpc.StatusCode, message: str, details: Message, *replies: Message) -> Answer:
    """Fails with something for programs, as 1.16 does."""

    def answer(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield from (reply.encode() for reply in replies)
        context.set_trailing_metadata((("grpc-status-details-bin", details.encode()),))
        context.abort(status, message)

    return answer


def never(requests: Any, context: Any) -> Iterable[bytes]:
    """Answers when nobody waits any more."""
    next(requests)
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait(60)
    return iter(())


# -- what is sent ---------------------------------------------------------------------------------

NAMED = InstanceNames(instance_name=["a", "b"])
PRIMARY = InstanceNames(instance_name=["primary"])
ALL = InstanceNames()


@pytest.mark.parametrize(
    ("words", "method", "reply", "request_"),
    [
        ("start a b", "start", StartReply(), StartRequest(instance_names=NAMED, timeout=-1)),
        ("start", "start", StartReply(), StartRequest(instance_names=PRIMARY, timeout=-1)),
        ("start --all", "start", StartReply(), StartRequest(instance_names=ALL, timeout=-1)),
        (
            "start a b --timeout 70",
            "start",
            StartReply(),
            StartRequest(instance_names=NAMED, timeout=70),
        ),
        ("stop", "stop", StopReply(), StopRequest(instance_names=PRIMARY)),
        ("stop --all", "stop", StopReply(), StopRequest(instance_names=ALL)),
        (
            "stop a b -t +12",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, time_minutes=12),
        ),
        (
            "stop a b --time=5 -v",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, time_minutes=5, verbosity_level=1),
        ),
        (
            "stop -c a b",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, cancel_shutdown=True),
        ),
        (
            "stop --force a b",
            "stop",
            StopReply(),
            StopRequest(instance_names=NAMED, force_stop=True),
        ),
        ("restart", "restart", RestartReply(), RestartRequest(instance_names=PRIMARY, timeout=-1)),
        (
            "restart a b --timeout 9",
            "restart",
            RestartReply(),
            RestartRequest(instance_names=NAMED, timeout=9),
        ),
        ("suspend", "suspend", SuspendReply(), SuspendRequest(instance_names=PRIMARY)),
        ("suspend a b", "suspend", SuspendReply(), SuspendRequest(instance_names=NAMED)),
        ("recover a b", "recover", RecoverReply(), RecoverRequest(instance_names=NAMED)),
        ("recover --all", "recover", RecoverReply(), RecoverRequest(instance_names=ALL)),
        ("purge -vv", "purge", PurgeReply(), PurgeRequest(verbosity_level=2)),
        ("delete --all", "delet", DeleteReply(), DeleteRequest()),
        (
            "delete -p a b.s.x",
            "delet",
            DeleteReply(purged_instances=["a"]),
            DeleteRequest(
                instance_snapshot_pairs=[
                    InstanceSnapshotPair(instance_name="a"),
                    InstanceSnapshotPair(instance_name="b", snapshot_name="s.x"),
                ],
                purge=True,
                purge_snapshots=True,
            ),
        ),
    ],
)
def test_requests_are_as_asked_and_success_says_nothing(
    connect: Connect, words: str, method: str, reply: Message, request_: Message
) -> None:
    program, service = connect(**{method: replying(reply)})
    result = program.run(*words.split())
    assert (result.code, result.out, result.err) == (0, "", "")
    assert type(request_).decode(service.requests[method][0]) == request_


@pytest.mark.parametrize(
    ("words", "form", "request_"),
    [
        ("find", "", FindRequest(show_images=True, show_blueprints=True)),
        ("find --only-images", "", FindRequest(show_images=True)),
        ("find --only-blueprints", "", FindRequest(show_blueprints=True)),
        (
            "find daily:22.04 --show-unsupported --force-update",
            "",
            FindRequest(
                search_string="22.04",
                remote_name="daily",
                allow_unsupported=True,
                show_images=True,
                show_blueprints=True,
                force_manifest_network_download=True,
            ),
        ),
        (
            "find daily:",
            "",
            FindRequest(remote_name="daily", show_images=True, show_blueprints=True),
        ),
    ],
)
def test_find_asks_for_what_is_wanted(
    connect: Connect, words: str, form: str, request_: FindRequest
) -> None:
    program, service = connect(find=replying(FindReply()))
    result = program.run(*words.split())
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("No ")
    assert FindRequest.decode(service.requests["find"][0]) == request_


def test_info_asks_for_instances_and_snapshots(connect: Connect) -> None:
    program, service = connect(info=replying(InfoReply()))
    assert program.run("info").out == "No instances found.\n"
    assert program.run("info", "a", "b.s", "--snapshots").out == "No snapshots found.\n"
    assert program.run("info", "--no-runtime-information", "--format=csv").out == ""
    result = program.run("info", "--all")
    assert (result.code, result.out) == (0, "No instances found.\n")
    assert result.err.startswith("Warning: the `--all` flag for the `info` command is deprecated.")
    assert [InfoRequest.decode(data) for data in service.requests["info"]] == [
        InfoRequest(),
        InfoRequest(
            instance_snapshot_pairs=[
                InstanceSnapshotPair(instance_name="a"),
                InstanceSnapshotPair(instance_name="b", snapshot_name="s"),
            ],
            snapshots=True,
        ),
        InfoRequest(no_runtime_information=True),
        InfoRequest(),
    ]


def test_networks(connect: Connect) -> None:
    program, service = connect(networks=replying(NetworksReply()))
    assert program.run("networks", "-v").out == "No network interfaces found.\n"
    assert NetworksRequest.decode(service.requests["networks"][0]).verbosity_level == 1


# -- mistakes -------------------------------------------------------------------------------------

NAME_OR_ALL = "Name argument or --all is required"
BAD_TIMEOUT = "error: --timeout value has to be a positive integer"
ONE = "Cannot specify name when --all option set"
MORE = "Cannot specify names when --all option set"
BAD_DIGITS = "Time must be in digit form"
BAD_FORCE = "Cannot set 'force' along with 'time' or 'cancel' options at the same time"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        *((f"{verb} --all a", ONE) for verb in ("start", "stop", "suspend", "restart", "recover")),
        *((f"{verb} a --all b", MORE) for verb in ("start", "stop", "delete", "info")),
        ("recover", NAME_OR_ALL),
        ("delete", NAME_OR_ALL),
        *(
            (f"{verb} a --timeout {value}", BAD_TIMEOUT)
            for verb in ("start", "restart", "shell", "launch")
            for value in ("0", "-1", "3min", "15.51")
        ),
        ("stop -c -t 1", "Cannot set 'time' and 'cancel' options at the same time"),
        ("stop --force -c", BAD_FORCE),
        ("stop --force --time 1", BAD_FORCE),
        *((f"stop a -t {value}", BAD_DIGITS) for value in ("-10", "+bar", "+10s", "++1", "1.5")),
        ("restart -t 1", "Unknown option 't'."),
        ("purge x", "This command takes no arguments"),
        ("networks x", "This command takes no arguments"),
        ("networks --format x", "Invalid format type given."),
        ("info --format x", "Invalid format type given."),
        ("find --format x", "Invalid format type given."),
        (
            "info a b.s --format csv",
            "Mixed snapshot and instance arguments are not supported with CSV format",
        ),
        (
            "find --only-images --only-blueprints",
            'Specify one of "--only-images", "--only-blueprints" or omit to fetch both',
        ),
        (
            "find --force-update --only-blueprints",
            "Force updating blueprints is not currently supported",
        ),
        ("find a b", "Wrong number of arguments"),
        ("find a:b:c", "Invalid remote and search string supplied"),
        ("shell a b", "Too many arguments given"),
        ("exec a", "Wrong number of arguments"),
        ("exec a ls -d x -n", "Options --working-directory and --no-map-working-directory clash"),
        (
            "exec a ls -l",
            "Unknown option 'l'.\n\n"
            'Options to the inner command should come after "--", like this:\n'
            "multipass exec <instance> -- <command> <arguments>",
        ),
        ("exec a --foo -- ls -l", "Unknown option 'foo'."),
        ("launch a b", "Too many arguments supplied"),
        ("launch a:b:c", "Invalid remote and source image name supplied"),
        *(
            (
                f"launch -c {cpus}",
                f"Error: invalid CPU count '{cpus}', need a positive integer value.",
            )
            for cpus in ("0", "-2", "x", "1.5")
        ),
        (
            "launch -m 1G --mem 2G",
            "Error: invalid option(s) used for memory allocation. "
            'Please use "--memory" to specify amount of memory to allocate.',
        ),
        (
            "launch --mount /tmp:x",
            "Mounts are not available in this version, so nothing was launched. Leave --mount out.",
        ),
        ("launch --network name=a,mode=x", "error: Bad network mode 'x', need 'auto' or 'manual'"),
        ("launch --network mac=1,name=a", "error: Invalid MAC address: 1"),
        ("launch --network name=a,x=y", "error: Bad network field: x"),
        ("launch --network name=a,x", "error: Bad network field definition: x"),
        (
            "launch --network mode=auto",
            "error: Bad network definition, need at least a 'name' field",
        ),
        (
            "launch --cloud-init /nowhere",
            "Could not load cloud-init configuration: bad file: /nowhere\n"
            "Please ensure that Multipass can read it.",
        ),
        (
            "launch --cloud-init /dev/null",
            "Could not load cloud-init configuration: bad file: /dev/null\n"
            "Please ensure that Multipass can read it.",
        ),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(
    tmp_path: Path, words: str, sentence: str
) -> None:
    program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")
    result = program.run(*words.split())
    expected = sentence + "\n"
    if words.startswith("info a --all"):
        assert result.err.startswith("Warning: ")
        expected = result.err.splitlines(keepends=True)[0] + expected
    assert (result.code, result.out, result.err) == (1, "", expected)


@pytest.mark.parametrize("verb", ["start", "stop", "suspend", "restart", "shell"])
def test_without_a_primary_instance_a_name_is_needed(tmp_path: Path, verb: str) -> None:
    program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")
    assert program.run("set", "client.primary-name=").code == 0
    result = program.run(verb)
    sentence = {"shell": "The primary instance is disabled, please provide an instance name."}.get(
        verb, "Name argument or --all is required\nNote: the primary instance is disabled."
    )
    assert (result.code, result.out, result.err) == (1, "", sentence + "\n")
    syntax = {"shell": "<name>"}.get(verb, "<name> [<name> ...]")
    usage = f"Usage: multipass {verb} [options] {syntax}\n"
    assert program.run(verb, "-h").out.startswith(usage)
    assert program.run("help", verb).out.startswith(usage)


@pytest.mark.parametrize("option", ["--memory", "--disk", "--mem"])
def test_a_bad_size_is_an_unhandled_exception(tmp_path: Path, option: str) -> None:
    program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")
    result = program.run("launch", option, "1.5.2G")
    assert result.code == 1
    assert result.err.endswith(
        "[error] [client] Caught an unhandled exception: 1.5.2G is not a valid memory size - need "
        "a non-negative integer (in base 10) or a decimal followed by K, M, or G (e.g. 1234B, "
        "42MiB, 0.5G)\n"
    )


# -- launch ---------------------------------------------------------------------------------------

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


def test_the_former_name_of_memory_still_works(connect: Connect) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    result = program.run("launch", "--mem", "512M")
    assert result.err == (
        'Warning: the "--mem" long option is deprecated in favour of "--memory". '
        "Please update any scripts, etc.\n"
    )
    assert LaunchRequest.decode(service.requests["launch"][0]).mem_size == "512M"


def test_the_primary_has_no_mount(connect: Connect) -> None:
    program, _ = connect(launch=replying(LaunchReply(vm_instance_name="primary")))
    result = program.run("launch", "--name", "primary")
    assert (result.code, result.out, result.err) == (0, f"Launched: primary\n{SKIPPING}", "")


Code = LaunchError.ErrorCodes


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ([Code.INVALID_DISK_SIZE], "Invalid disk size value supplied: 1."),
        ([Code.INVALID_MEM_SIZE], "Invalid memory size value supplied: 2."),
        ([Code.INVALID_HOSTNAME], "Invalid instance name supplied: _"),
        ([Code.INVALID_DISK_SIZE, Code.INVALID_NETWORK], "Invalid network options supplied"),
        ([], ""),
        ([99], ""),
    ],
)
def test_what_is_wrong_with_a_launch_is_told(
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


MISSING_BRIDGES = detailed(
    grpc.StatusCode.FAILED_PRECONDITION,
    "Missing bridges",
    LaunchError(error_codes=[int(Code.INVALID_NETWORK)]),
    LaunchReply(nets_need_bridging=["eth0", "eth1"]),
)


def test_bridges_are_not_made_unless_somebody_says_yes(connect: Connect) -> None:
    program, service = connect(launch=MISSING_BRIDGES)
    result = program.run("launch", "--network", "eth0", input=b"yes\n")
    assert (result.code, result.out) == (2, "")
    assert result.err == "launch failed: Missing bridges\nInvalid network options supplied\n"
    assert len(service.requests["launch"]) == 1


@pytest.mark.parametrize(("answer", "made"), [(b"maybe\nYES\n", True), (b"n\n", False)])
def test_bridges_are_asked_about_on_a_terminal(
    connect: Connect, terminals: list[Terminal], answer: bytes, made: bool
) -> None:
    def answers(requests: Any, context: Any) -> Iterable[bytes]:
        request = LaunchRequest.decode(next(requests))
        if not request.permission_to_bridge:
            return MISSING_BRIDGES(iter([b""]), context)
        return iter([LaunchReply(vm_instance_name="x").encode()])

    program, _ = connect(launch=answers)
    terminal = Terminal(program, "launch", "--network", "eth0")
    terminals.append(terminal)
    question = "Do you want to continue (yes/no)? "
    first, *others = answer.splitlines(keepends=True)
    terminal.reply(question, first)
    for other in others:
        terminal.reply("Please answer yes/no: ", other)
    code, err = terminal.finish()
    assert (
        "Multipass needs to create bridges to connect to eth0, eth1.\r\n"
        "This will temporarily disrupt connectivity on those interfaces.\r\n\r\n" + question
    ) in terminal.shown
    refused = "launch failed: Missing bridges\nInvalid network options supplied\n"
    assert (code, err) == ((0, "") if made else (2, refused))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\tx: 1", "a: 1\n---\nb: 2", "x: !!nope 1"])
def test_bad_yaml_is_refused_before_anything_is_sent(
    connect: Connect, tmp_path: Path, text: str
) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    result = program.run("launch", "--cloud-init", "-", input=text.encode())
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("Could not load cloud-init configuration: ")
    assert len(result.err.splitlines()) == 1
    assert service.requests == {}
    result = program.run("launch", "--cloud-init", "-", input=b"\xff\xfe")
    assert result.err == "Could not load cloud-init configuration: it is not UTF-8 text\n"


def test_cloud_init_is_taken_from_a_pipe_a_fifo_and_a_url(connect: Connect, tmp_path: Path) -> None:
    import functools
    import http.server

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    text = "#cloud-config\nwrite_files:\n- {path: /x, content: 'é'}\n"
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "init").write_text(text)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_address[1]}"
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=lambda: (tmp_path / "fifo").write_text(text))
    writer.start()
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="x")))
    try:
        assert program.run("launch", "--cloud-init", "-", input=text.encode()).code == 0
        assert program.run("launch", "--cloud-init", str(tmp_path / "fifo")).code == 0
        assert program.run("launch", "--cloud-init", f"{url}/init").code == 0
        result = program.run("launch", "--cloud-init", f"{url}/nothing")
        assert result.code == 1
        assert "HTTP Error 404" in result.err
    finally:
        writer.join()
        web.shutdown()
        web.server_close()
    sent = [LaunchRequest.decode(data) for data in service.requests["launch"]]
    assert [request.cloud_init_user_data for request in sent] == [text] * 3


# -- time-outs, start and its launch, stop's and delete's advice ----------------------------------


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        ("launch", "Timed out waiting for instance launch."),
        ("start", "Timed out waiting for instance to start."),
        ("restart", "Timed out waiting for instance to restart."),
    ],
)
def test_a_timeout_ends_with_5(connect: Connect, verb: str, sentence: str) -> None:
    program, _ = connect(**{verb: never})
    words = [verb, "--timeout", "1"] + ([] if verb == "launch" else ["a"])
    result = program.run(*words)
    assert (result.code, result.err.splitlines()[0]) == (5, sentence)
    assert "multipass list" in result.err.splitlines()[1]


def test_an_interrupt_ends_a_wait_and_hangs_up(connect: Connect) -> None:
    gone = threading.Event()

    def waits(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        context.add_callback(gone.set)
        yield LaunchReply(create_message="Creating x").encode()
        gone.wait(60)

    program, _ = connect(launch=waits)
    with subprocess.Popen(
        [PROGRAM, "launch"], env=program.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"Creating x\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == process.stderr.read() == b""
    assert gone.wait(30)  # the service learns of it


Problem = StartError.ErrorCode


def missing(problems: dict[str, int]) -> Answer:
    return detailed(
        grpc.StatusCode.ABORTED, "instance(s) missing", StartError(instance_errors=problems)
    )


def test_instances_that_can_t_be_started_are_told(connect: Connect) -> None:
    problems = {
        "b": int(Problem.INSTANCE_DELETED),
        "a": int(Problem.DOES_NOT_EXIST),
        "c": int(Problem.OTHER),
        "primary": int(Problem.DOES_NOT_EXIST),
    }
    program, service = connect(start=missing(problems))
    result = program.run("start", "a", "b", "c", "primary")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "start failed: instance(s) missing\n"
        "Instance 'a' does not exist.\n"
        "Instance 'b' is deleted. "
        "Use 'recover' to recover it or 'purge' to permanently delete it.\n"
        "Instance 'c' failed in an unexpected way, check logs for more information.\n\n"
    )
    assert "launch" not in service.requests


def test_a_missing_primary_is_launched_and_the_start_retried(connect: Connect) -> None:
    program, service = connect(launch=replying(LaunchReply(vm_instance_name="primary")))

    def start(requests: Any, context: Any) -> Iterable[bytes]:
        if "launch" in service.requests:
            return replying(StartReply())(requests, context)
        return missing({"primary": int(Problem.DOES_NOT_EXIST)})(requests, context)

    service.answers["start"] = start
    result = program.run("start", "--timeout", "50")
    assert (result.code, result.out, result.err) == (0, f"Launched: primary\n{SKIPPING}", "")
    assert len(service.requests["start"]) == 2
    request = LaunchRequest.decode(service.requests["launch"][0])
    assert (request.instance_name, request.timeout) == ("primary", 50)


def test_a_launch_that_fails_ends_the_start(connect: Connect) -> None:
    program, service = connect(
        start=missing({"primary": int(Problem.DOES_NOT_EXIST)}),
        launch=failing(grpc.StatusCode.INTERNAL, "no disk"),
    )
    result = program.run("start")
    assert (result.code, result.out, result.err) == (2, "", "launch failed: no disk\n")
    assert len(service.requests["start"]) == 1


@pytest.mark.parametrize(
    ("verb", "method", "hint"),
    [
        ("stop", "stop", "Use --force to power it off."),
        ("delete", "delet", "Use --purge to forcefully delete it."),
    ],
)
def test_what_to_do_is_said_once(connect: Connect, verb: str, method: str, hint: str) -> None:
    status, text = (
        grpc.StatusCode.FAILED_PRECONDITION,
        "Cannot shut down instance a while starting.",
    )
    program, service = connect(**{method: failing(status, text)})
    expected = f"{verb} failed: {text}\n{hint}\n"
    assert program.run(verb, "a").err == expected
    service.answers[method] = failing(status, f"{text}\n{hint}")
    assert program.run(verb, "a").err == expected
    service.answers[method] = failing(status, "something else")
    assert program.run(verb, "a").err == f"{verb} failed: something else\n"


# -- deleting snapshots, which a 1.16 service has -------------------------------------------------


def asks(requests: Any, context: Any) -> Iterable[bytes]:
    next(requests)
    yield DeleteReply(confirm_snapshot_purging=True).encode()
    if not DeleteRequest.decode(next(requests)).purge_snapshots:
        context.abort(grpc.StatusCode.CANCELLED, "Cancelled.")
    yield DeleteReply().encode()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (b"y\n", (0, "")),
        (b"\n", (2, "delete failed: Cancelled.\n")),
        (b"No\n", (2, "delete failed: Cancelled.\n")),
    ],
)
def test_deleting_a_snapshot_is_confirmed_on_a_terminal(
    connect: Connect, terminals: list[Terminal], answer: bytes, result: tuple[int, str]
) -> None:
    program, _ = connect(delet=asks)
    terminal = Terminal(program, "delete", "a.s")
    terminals.append(terminal)
    question = (
        "Snapshots can only be purged (after deletion, they cannot be recovered). "
        "Are you sure you want to continue? (Yes/no): "
    )
    terminal.reply(question, answer)
    assert terminal.finish() == result


def test_deleting_a_snapshot_from_a_pipe_needs_purge(connect: Connect) -> None:
    program, _ = connect(delet=asks)
    result = program.run("delete", "a.s", "b", input=b"yes\n")
    assert (result.code, result.out) == (1, "")
    assert "Caught an unhandled exception: Snapshots can only be purged" in result.err
    assert "multipass delete --purge a.s\n" in result.err
    assert "multipass delete b\n" in result.err
