"""Mistakes on the command line of commands on instances: told before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.program import Program

NAME_OR_ALL = "Name argument or --all is required"
BAD_TIMEOUT = "error: --timeout value has to be a positive integer"
ONE = "Cannot specify name when --all option set"
MORE = "Cannot specify names when --all option set"
ENDLESS = "9" * 5000  # more digits than Python reads
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
            for value in ("0", "-1", "3min", "15.51", "2147483648", ENDLESS)
        ),
        ("stop -c -t 1", "Cannot set 'time' and 'cancel' options at the same time"),
        ("stop --force -c", BAD_FORCE),
        ("stop --force --time 1", BAD_FORCE),
        *(
            (f"stop a -t {value}", BAD_DIGITS)
            for value in ("-10", "+bar", "+10s", "++1", "1.5", "2147483648", ENDLESS)
        ),
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
            for cpus in ("0", "-2", "x", "1.5", "2147483648", ENDLESS)
        ),
        (
            "launch -m 1G --mem 2G",
            "Error: invalid option(s) used for memory allocation. "
            'Please use "--memory" to specify amount of memory to allocate.',
        ),
        ("launch --mount /no/such:x", 'Mount source path "/no/such" does not exist'),
        ("launch --mount /etc/passwd", 'Mount source path "/etc/passwd" is not a directory'),
        ("mount /tmp", "Not enough arguments given"),
        ("mount /no/such a", 'Source path "/no/such" does not exist'),
        ("mount /etc/passwd a", 'Source path "/etc/passwd" is not a directory'),
        ("mount /tmp a -u 1", "Invalid UID map given: 1"),
        ("mount /tmp a -u 1:-1", "Invalid UID map given: 1:-1"),
        ("mount /tmp a -g 1:2 -g 1:2:3", "Invalid GID map given: 1:2:3"),
        ("mount /tmp a -g :", "Invalid GID map given: :"),
        ("mount /tmp a -u 1:2147483648", "2147483648 is an invalid id"),
        (f"mount /tmp a -u {ENDLESS}:1", f"{ENDLESS} is an invalid id"),
        (
            "mount /tmp a -t Other",
            "error: Bad mount type 'Other' specified, please use 'classic' or 'native'",
        ),
        ("umount", "Not enough arguments given"),
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
            "Please ensure that Multipass can read it.\nNo such file or directory.",
        ),
        (
            "launch --cloud-init /dev",
            "Could not load cloud-init configuration: bad file: /dev\n"
            "Please ensure that Multipass can read it.\nIt is a directory.",
        ),
        (
            "launch --cloud-init /dev/null",
            "Could not load cloud-init configuration: bad file: /dev/null\n"
            "Please ensure that Multipass can read it.\nIt is not a regular file.",
        ),
        (
            "launch --cloud-init http://127.0.0.1:1/x",
            "Could not load cloud-init configuration: http://127.0.0.1:1/x: Connection refused",
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


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("1.5.2G", ""), ("many", ""), ("-1G", ""), ("1P", ""), ("", None),
        ("1,5G", "1.5G"), ("1.5", "1.5G"), ("1,5", "1.5G"), ("1T", "1024G"), ("1.5TiB", "1536G"),
        ("0,5tb", "512G"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--memory", "--disk", "--mem"])
def test_a_bad_size_is_a_sentence_that_says_what_was_probably_meant(
    tmp_path: Path, option: str, given: str, meant: str | None
) -> None:
    program = Program(tmp_path / "home", f"unix:{tmp_path}/socket", tmp_path / "root.pem")
    result = program.run("launch", option, given)
    lines = [line for line in result.err.splitlines() if "deprecated" not in line]
    if meant is None:  # as if it was not given: the next obstacle is that no service is there
        assert result.code == 2
        return
    assert result.code == 1
    assert lines == [
        f"{given} is not a valid memory size - need a non-negative integer (in base 10) or a "
        "decimal followed by K, M, or G (e.g. 1234B, 42MiB, 0.5G)",
        *([f"Did you mean {meant}?"] if meant else []),
    ]
