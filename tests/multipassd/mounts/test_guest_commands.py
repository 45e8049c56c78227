"""What a guest is asked and what is believed of its answers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multipassd.mounts import guest_commands
from multipassd.mounts.guest_commands import NoSshfs, Prepared, Unprepared

HOME = "/home/ubuntu"


@pytest.mark.parametrize(
    "path",
    ["/", "/home", HOME, f"{HOME}/.ssh", f"{HOME}/.ssh/x", "/dev", "/dev/shm", "/proc/1", "/sys"],
)
def test_what_would_hide_the_login_users_keys_or_the_kernels_files_is_refused(path: str) -> None:
    assert guest_commands.refusal(path, HOME)


@pytest.mark.parametrize("path", [f"{HOME}/data", "/homes", "/mnt", "/devices", f"{HOME}/.sshx"])
def test_other_places_are_not(path: str) -> None:
    assert not guest_commands.refusal(path, HOME)


def test_a_guest_that_is_ready_tells_its_login_user_and_the_resolved_path() -> None:
    said = f"ready 1000 1001\n{HOME}\n/mnt/a b\n"
    assert guest_commands.prepared(said) == Prepared(1000, 1001, "/mnt/a b")
    with pytest.raises(NoSshfs):
        guest_commands.prepared("missing\n")


@pytest.mark.parametrize(
    "said",
    [
        "", "ready 1000 1000\n", f"ready 1000 x\n{HOME}\n/mnt\n",
        f"ready 1 4294967295\n{HOME}\n/x\n",
        f"ready 1000 1000\n{HOME}\nmnt\n", f"ready 0 0\n{HOME}\n/home/ubuntu\n", "x" * 60_000,
        f"ready 1000 1000\n{HOME}\n/mnt\nmore\n", "realpath: \x1b[2J/x: no\n",
    ],
)  # fmt: skip
def test_any_other_answer_is_a_reason_fit_to_show(said: str) -> None:
    with pytest.raises(Unprepared) as caught:
        guest_commands.prepared(said)
    text = str(caught.value)
    assert text.isprintable() and 0 < len(text) <= guest_commands.MAX_SHOWN


def test_the_scripts_are_sound_and_quote_what_they_are_given(tmp_path: Path) -> None:
    evil = f"a'; touch {tmp_path}/made; '$(touch {tmp_path}/made)\"`touch {tmp_path}/made`"
    scripts = (
        guest_commands.serve("multipass-0", evil),
        guest_commands.prepare("multipass-0", evil),
        guest_commands.unmount("multipass-0", evil),
        guest_commands.INSTALL,
    )
    for script in scripts:
        subprocess.run(["sh", "-n", "-c", script], check=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sudo", "sshfs"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
        (tools / name).chmod(0o755)
    for script in scripts[:3]:
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path)}
        subprocess.run(["sh", "-c", script], env=environment, cwd=tmp_path, check=False)
    assert not (tmp_path / "made").exists()
