"""The how-to pages: each command in them typed as it stands, by its user, and what it prints."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.packaging.test_snap_recovery import APPEND
from tests.system.host import Host
from tests.system.host_trust import STORE, at_terminal, gets_in
from tests.system.site import ASK, ASK_AGAIN, EMPTY_LIST
from tests.waiting import until
from tools.sandbox import CHECKOUT

PAGES = CHECKOUT / "docs" / "how-to"
PASSPHRASE = "foo"  # as the pages have it on a command line
ANYTHING = "..."
BLOCK = re.compile(r"^```console(?P<package> \w+)?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # how a spinner is cleared
TYPED = re.compile(r"(\w+(?:@\w+)?)\$ (.*)")  # by whom, and on which machine if not this one
STORE_DIRECTORY = STORE.rpartition("/")[0]


@dataclass
class Step:
    user: str
    command: str
    printed: list[str]


def steps(text: str, package: str = "") -> list[Step]:
    """The commands of a page or of a section, with the lines that follow each."""
    found: list[Step] = []
    for block in BLOCK.finditer(text):
        if (block["package"] or "").strip() != package:
            continue
        for line in block["text"].splitlines():
            if typed := TYPED.fullmatch(line):
                found.append(Step(typed[1], typed[2], []))
            else:
                found[-1].printed.append(line)
    return found


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def sections(text: str) -> list[str]:
    return text.split("\n## ")


def follow(host: Host, text: str) -> None:
    for step in steps(text):
        asked = {"Please enter passphrase:": ASK, "Please re-enter passphrase:": ASK_AGAIN}
        answers = [(asked[line], PASSPHRASE) for line in step.printed if line in asked]
        session = at_terminal(host, step.user, step.command, answers)
        output = CONTROL.sub("", session.output)
        shown = [line.rstrip() for line in output.splitlines() if line.strip()]
        expected = [line.rstrip() for line in step.printed]
        if ANYTHING in expected:  # `check` may find something, too
            expected = expected[: expected.index(ANYTHING)]
            assert shown[: len(expected)] == expected, (step, session)
            continue
        assert shown == expected, (step, session)
        failed = any(" failed: " in line for line in step.printed)
        assert (session.returncode != 0) == failed, (step, session)


pytestmark = pytest.mark.host


def test_setting_up_access_and_letting_users_in_work_as_written(machine: Host) -> None:
    follow(machine, page("set-up-access.md"))
    follow(machine, page("let-a-second-user-in.md"))


def test_each_way_out_of_a_lock_out_works_as_written(machine: Host) -> None:
    assert machine.run("multipass", "list", user="dave").stdout == EMPTY_LIST
    machine.run("cp", "-a", STORE_DIRECTORY, "/root/saved")
    described, *ways = sections(page("recover-from-a-lock-out.md"))
    follow(machine, described)
    for way in ways:
        follow(machine, way)
        machine.run("multipass", "set", "local.passphrase=", user="dave")
        machine.run("sh", "-c", f"cat /root/saved/{STORE.rpartition('/')[2]} > {STORE}")
        until(lambda: not gets_in(machine, "alice"), "the lock-out to be there again")


def test_the_snaps_recovery_is_what_its_own_test_types() -> None:
    append, restart = steps(page("recover-from-a-lock-out.md"), "snap")
    assert append.command == APPEND
    assert restart.command == "sudo snap restart multipass.multipassd"
