"""The client as a process: exit codes and streams, without a service."""

from __future__ import annotations

import os
import re
import socket
import threading
from pathlib import Path

import pytest

from protocol.version import VERSION
from tests.client.program import Program

BAD_TIMEOUT = "error: --timeout value has to be a positive integer"
GENERAL = "Usage: multipass [options] <command>\n"


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A client whose service is not there."""
    return Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")


@pytest.mark.parametrize(
    ("words", "code"),
    [([], 2), (["-v"], 2), (["-h"], 0), (["--help"], 0), (["help"], 0), (["nonsense", "-h"], 0)],
)
def test_general_help(program: Program, words: list[str], code: int) -> None:
    result = program.run(*words)
    assert (result.code, result.err) == (code, "")
    assert result.out.startswith(GENERAL)


def test_help_of_a_command_is_the_same_text_however_it_is_asked_for(program: Program) -> None:
    ways = [["help", "list"], ["help", "ls"], ["list", "-h"], ["-h", "list"], ["ls", "--help", "x"]]
    results = [program.run(*way) for way in ways]
    assert {result.out for result in results} == {results[0].out}
    assert all((result.code, result.err) == (0, "") for result in results)
    assert results[0].out.startswith("Usage: multipass list [options]\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["help", "a", "b"], "Too many arguments given"),
        (["help", "nonsense"], "Error: Unknown Command: 'nonsense'"),
        (["list", "--foo", "-h"], "Unknown option 'foo'."),
        (["list", "--format"], "Missing value after '--format'."),
        (["list", "--snapshots=1"], "Unexpected value after '--snapshots'."),
        (["list", "x"], "This command takes no arguments"),
        (["version", "x"], "This command takes no arguments"),
        (["list", "--format", "Table"], "Invalid format type given."),
        (["version", "--format", "xml"], "Invalid format type given."),
        (
            ["list", "--snapshots", "--no-ipv4"],
            "IP addresses are not applicable in conjunction with listing snapshots",
        ),
        (["authenticate", "a", "b"], "Too many arguments given"),
        (["get", "a", "b"], "Need at most one setting key."),
        (
            ["get"],
            "Multiple settings not implemented yet. Please try again with one setting key or just "
            "the `--keys` option for now.",
        ),
        (["get", "client.x"], "Unrecognized settings key: 'client.x'"),
        (["get", "nonsense"], "Unrecognized settings key: 'nonsense'"),
        (["set"], "Need exactly one key-value pair (in <key>=<value> form)."),
        (["set", "a=b", "c=d"], "Need exactly one key-value pair (in <key>=<value> form)."),
        (["set", "="], "Bad key-value format."),
        (["set", "=a"], "Bad key-value format."),
        (["set", "a=b="], "Bad key-value format."),
        (["set", "a==b"], "Bad key-value format."),
        (["set", "client.primary-name=x=x"], "Bad key-value format."),
        (["set", "client.x=1"], "Unrecognized settings key: 'client.x'"),
        (
            ["set", "client.primary-name=_"],
            "Invalid setting 'client.primary-name=_': Invalid hostname",
        ),
        *(
            (
                ["wait-ready", "--timeout", value],
                "error: --timeout value has to be a positive integer",
            )
            for value in ("0", "-1", "a", "3min", "15.51", "")
        ),
    ],
)
def test_mistakes_are_told_on_stderr_with_exit_1(
    program: Program, words: list[str], sentence: str
) -> None:
    result = program.run(*words)
    assert (result.code, result.out, result.err) == (1, "", sentence + "\n")


def test_an_unknown_command_is_told_on_stdout(program: Program) -> None:
    result = program.run("nonsense", "--foo")
    assert (result.code, result.err) == (1, "")
    assert result.out == (
        "Error: Unknown command or alias 'nonsense' "
        '(try "multipass help" or "multipass aliases")\n'
    )


@pytest.mark.parametrize("key", ["", "nonsense", "client.x"])
def test_a_value_for_a_key_that_does_not_exist_is_not_asked_for(program: Program, key: str) -> None:
    result = program.run("set", key, input=b"typed\n")
    assert (result.code, result.out) == (1, "")
    assert result.err == f"Unrecognized settings key: '{key}'\n"


def test_an_unknown_option_without_a_command_comes_with_the_general_help(program: Program) -> None:
    result = program.run("--foo")
    assert (result.code, result.err) == (2, "Unknown option 'foo'.\n\n")
    assert result.out.startswith(GENERAL)


@pytest.mark.parametrize(
    "words", [["version"], ["-V"], ["--version"], ["-V", "list"], ["list", "-V"]]
)
def test_version_without_a_service_shows_the_client_s(program: Program, words: list[str]) -> None:
    result = program.run(*words)
    assert (result.code, result.out, result.err) == (0, f"multipass   {VERSION}\n", "")


def test_help_and_version_work_with_nothing_at_all(tmp_path: Path) -> None:
    program = Program(Path("/proc/nowhere"), f"unix:{tmp_path}/s", tmp_path / "none")
    program.environ = {"MULTIPASS_SERVER_ADDRESS": f"unix:{tmp_path}/s"}
    assert program.run("help").code == 0
    assert program.run("version").out == f"multipass   {VERSION}\n"


@pytest.mark.parametrize(
    "words", [["version"], ["wait-ready", "--timeout", "1"], ["help"], ["list", "--help"], ["list"]]
)
def test_every_command_makes_the_certificate_that_scripts_append_to_the_store(
    program: Program, words: list[str]
) -> None:
    program.run(*words)
    assert [each.name for each in program.home.rglob("multipass_cert*.pem")]


@pytest.mark.parametrize("words", [["version"], ["help"], ["list", "--help"]])
def test_a_diagnosis_works_where_no_certificate_can_be_made(
    program: Program, words: list[str]
) -> None:
    program.home.write_bytes(b"")  # not a directory
    result = program.run(*words)
    assert (result.code, result.err) == (0, "")


def test_another_program_at_the_address_is_told(program: Program, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as web:
        web.bind(str(tmp_path / "socket"))
        web.listen()

        def answer() -> None:
            with web.accept()[0] as caller:
                caller.recv(1)
                caller.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        result = program.run("list")
        thread.join()
    first, second = result.err.splitlines()
    assert (result.code, result.out) == (2, "")
    assert first == (
        "list failed: the service answered with something that is not Multipass's protocol"
    )
    assert second.endswith(
        "Another program than multipassd may be listening there; "
        "MULTIPASS_SERVER_ADDRESS, where it is set, says where."
    )


@pytest.mark.parametrize("words", ["launch", "start a", "restart a", "shell a"])
def test_an_absent_socket_is_no_instance_that_is_slow(program: Program, words: str) -> None:
    result = program.run(*words.split(), "--timeout", "1")
    assert (result.code, result.out) == (2, "")
    first = f"{words.split()[0]} failed: cannot connect to the multipass socket"
    assert result.err.splitlines()[0] == first


def test_an_absent_socket_is_told_with_what_to_do(program: Program) -> None:
    result = program.run("ls")
    first, second = result.err.splitlines()
    assert (result.code, result.out) == (2, "")
    assert first == "list failed: cannot connect to the multipass socket"
    assert program.environ["MULTIPASS_SERVER_ADDRESS"].removeprefix("unix:") in second


def test_a_socket_that_nobody_serves_is_told(program: Program, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "socket"))
    result = program.run("get", "local.driver")
    first, second = result.err.splitlines()
    assert (result.code, first) == (2, "get failed: cannot connect to the multipass socket")
    assert "No process is listening" in second


def test_a_home_that_can_t_be_written_is_told(program: Program, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    result = program.run("list")
    first, second = result.err.splitlines()
    assert result.code == 2
    assert first.startswith("list failed: cannot make this client's certificate in ")
    assert "XDG_DATA_HOME" in second


@pytest.mark.parametrize("missing", ["multipass_cert.pem", "multipass_cert_key.pem"])
def test_half_a_certificate_is_kept_and_told(program: Program, missing: str) -> None:
    program.run("version")
    folder = program.home / "data" / "multipass-client-certificate"
    (folder / missing).unlink()
    [kept] = folder.iterdir()
    data = kept.read_bytes()
    assert [program.run(word).code for word in ("version", "help")] == [0, 0]
    result = program.run("list")
    first, second = result.err.splitlines()
    assert result.code == 2
    assert first == (
        f"list failed: cannot use this client's certificate {folder / missing}: "
        f"it is missing. {kept} was kept."
    )
    assert second.startswith("Restore the missing file from a copy, or remove both")
    assert [(each, each.read_bytes()) for each in folder.iterdir()] == [(kept, data)]


def test_the_key_is_private(program: Program) -> None:
    program.run("list")
    folder = program.home / "data" / "multipass-client-certificate"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "multipass_cert_key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("unix:", "missing socket file in address 'unix:'"),
        ("nonsense", "missing port number in address 'nonsense'"),
        ("host:x", "invalid port number in address 'host:x'"),
        (f"host:{'9' * 5000}", f"invalid port number in address 'host:{'9' * 5000}'"),
    ],
)
def test_a_bad_address_is_an_unhandled_exception_and_what_a_good_one_is_is_said(
    program: Program, address: str, what: str
) -> None:
    result = program.run("list", MULTIPASS_SERVER_ADDRESS=address)
    assert result.code == 1
    stamp = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\]"
    expected = rf"{stamp} \[error\] \[client\] Caught an unhandled exception: {re.escape(what)}\n"
    hint = "MULTIPASS_SERVER_ADDRESS names the service: unix:<path of its socket> or <host>:<port>."
    assert re.fullmatch(expected + re.escape(f"{hint}\n"), result.err)


def test_client_settings_need_no_service(program: Program) -> None:
    assert program.run("get", "client.primary-name").out == "primary\n"
    result = program.run("set", "client.primary-name=home")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert program.run("get", "client.primary-name").out == "home\n"
    assert program.run("set", "client.primary-name=").code == 0
    assert program.run("get", "client.primary-name").out == "<empty>\n"
    assert program.run("get", "client.primary-name", "--raw").out == "\n"


def test_keys_without_a_service_are_the_client_s_and_a_log_line(program: Program) -> None:
    result = program.run("get", "--keys")
    assert (result.code, result.out) == (0, "client.primary-name\n")
    assert result.err.endswith(" [error] [remote settings] Could not reach daemon.\n")
    assert program.run("get", "--keys", "client.primary-name").out == "client.primary-name\n"
    result = program.run("get", "--keys", "client.nonsense")
    assert result.code == 1
    assert result.err.endswith("\nUnrecognized settings key: 'client.nonsense'\n")


def test_waiting_for_a_service_that_does_not_come_ends_with_5(program: Program) -> None:
    result = program.run("wait-ready", "--timeout", "1")
    assert (result.code, result.out) == (5, "")
    assert result.err == "Timed out waiting for the Multipass daemon to be ready.\n"


def test_a_value_may_be_asked_for(program: Program) -> None:
    result = program.run("set", "client.primary-name", input=b"home\nnext\n")
    assert (result.code, result.out, result.err) == (0, "client.primary-name: ", "")
    assert program.run("get", "client.primary-name").out == "home\n"
    result = program.run("set", "client.primary-name")
    assert (result.code, result.err) == (1, "Failed to read value\n")


def test_a_full_or_closed_output_is_an_error(program: Program) -> None:
    import subprocess

    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*_command(), "help"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"Cannot write the output: ")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*_command(), "help"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_nothing_is_imported_from_the_working_directory(tmp_path: Path) -> None:
    import subprocess

    for name in ("client", "protocol", "os", "ssl", "socket", "_ssl"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
    done = subprocess.run(
        [*_command(), "help"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def _command() -> list[str]:
    from tests.client.program import PROGRAM

    return [str(PROGRAM)]
