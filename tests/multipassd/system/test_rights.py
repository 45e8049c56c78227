"""Rights that are given up: by children, as they don't come back."""

import subprocess
import sys
from pathlib import Path

import pytest

from multipassd.system import rights
from tools.sandbox import CHECKOUT

STATUS = "print(open('/proc/self/status').read())"


def status_after(line: str) -> dict[str, str]:
    script = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
    script += f"from multipassd.system import rights\n{line}\n{STATUS}"
    said = subprocess.check_output([sys.executable, "-I", "-c", script], text=True)
    return {
        key: value.strip() for key, _, value in (each.partition(":") for each in said.split("\n"))
    }


def capabilities(status: dict[str, str]) -> set[int]:
    held = int(status["CapPrm"], 16) | int(status["CapEff"], 16) | int(status["CapInh"], 16)
    return {number for number in range(64) if held >> number & 1}


@pytest.mark.root
def test_those_that_are_named_go_and_others_stay() -> None:
    before = capabilities(status_after(""))
    after = capabilities(status_after("rights.drop_capabilities([rights.DAC_OVERRIDE, 39])"))
    assert before - after == {rights.DAC_OVERRIDE, 39} & before
    assert after < before


def test_all_go() -> None:
    assert capabilities(status_after("rights.drop_capabilities(rights.ALL)")) == set()


def test_no_new_privileges_are_had_from_then_on() -> None:
    assert status_after("rights.no_new_privileges()")["NoNewPrivs"] == "1"


@pytest.mark.root
def test_a_network_that_was_left_has_no_device_but_its_own_loopback() -> None:
    script = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n"
    script += "from multipassd.system import rights\nrights.leave_network()\n"
    script += "print(open('/proc/self/net/dev').read())"
    said = subprocess.check_output([sys.executable, "-I", "-c", script], text=True)
    assert [line.split(":")[0].strip() for line in said.strip().split("\n")[2:]] == ["lo"]


def test_a_child_that_is_to_end_with_its_parent_does(tmp_path: Path) -> None:
    """Its parent is killed, and its pipe is at its end."""
    script = f"import os, sys, time; sys.path.insert(0, {str(CHECKOUT)!r})\n"
    script += "from multipassd.system import rights\n"
    script += "child = os.fork()\n"
    script += "if not child:\n    rights.end_with_parent()\n    print('ready', flush=True)\n"
    script += "    time.sleep(600)\n"
    script += "time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-I", "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.kill()
        assert parent.stdout.read() == b""
