"""One SSH connection for several commands, to an instance on real QEMU that stops, starts and is
given up. The tests share it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances.site import SIZE, Site

LOG = "/var/log/sshd"
TITLE = b"multipass: connection to foo"


class Foo:
    def __init__(self, site: Site) -> None:
        self.site = site
        self._place = site.sandbox.home("alice") / "multipass-ssh"

    def warm(self) -> None:
        """A connection waits for its next use."""
        self.site.done("exec", "foo", "--", "true")
        self.site.wait_for(lambda: len(self.waiting()) == 1, "a connection that waits")

    def waiting(self) -> list[Path]:
        return list(self._place.glob("*.*.*"))

    def log_ins(self) -> int:
        """With the one that this takes, if it takes any."""
        return int(self.site.inside("foo", f"sudo grep -c 'Accepted publickey' {LOG}"))

    def records(self) -> int:
        """Of log-ins, and of commands over a connection that was there."""
        return self.site.daemon.log_text().count("foo was accessed by client")

    def holders(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cmdline").read_bytes().startswith(TITLE) and self._is_ours(path):
                    found.append(int(path.name))
            except OSError:
                continue
        return found

    def _is_ours(self, process: Path) -> bool:
        runtime = f"XDG_RUNTIME_DIR={self._place.parent}"
        return runtime.encode() in (process / "environ").read_bytes().split(b"\0")


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Foo]:
    launched = shared.cli("launch", "--name", "foo", *SIZE, shared.url)
    assert launched.returncode == 0, launched
    yield Foo(shared)


def test_commands_one_after_the_other_take_one_log_in(foo: Foo, tmp_path: Path) -> None:
    foo.warm()
    before = foo.log_ins()
    records = foo.records()
    (tmp_path / "file").write_text("content")
    foo.site.wait_for(lambda: len(foo.waiting()) == 1, "its return")
    foo.site.done("transfer", str(tmp_path / "file"), "foo:")
    foo.site.wait_for(lambda: len(foo.waiting()) == 1, "its return")
    assert foo.site.inside("foo", "cat file") == "content"
    foo.site.wait_for(lambda: len(foo.waiting()) == 1, "its return")
    assert foo.log_ins() == before
    assert foo.records() == records + 3, "each was put on record"


def test_after_a_restart_of_the_service_the_next_command_logs_in_anew(foo: Foo) -> None:
    foo.warm()
    foo.site.kill_daemon()
    foo.site.wait_for(lambda: foo.site.state("foo") == "Running", "its answer")
    assert foo.site.inside("foo", "echo here") == "here"


@pytest.mark.parametrize("how", [("suspend",), ("stop",), ("stop", "--force")])
def test_a_connection_ends_with_the_run_of_the_instance(foo: Foo, how: tuple[str, ...]) -> None:
    foo.warm()
    foo.site.done(*how, "foo")
    foo.site.wait_for(lambda: not foo.holders() and not foo.waiting(), "its end")
    foo.site.done("start", "foo")
    assert foo.site.inside("foo", "echo here") == "here"


def test_a_guest_that_stands_still_does_not_hold_up_the_command_for_ever(foo: Foo) -> None:
    """Its connection is given up, and another one made once it goes on."""
    foo.warm()
    (machine,) = foo.site.qemus_of("foo")
    os.kill(machine, signal.SIGSTOP)
    try:
        waiting = foo.site.begin("exec", "foo", "--", "echo", "here")
        former = foo.holders()
        foo.site.wait_for(lambda: not set(former) & set(foo.holders()), "the end of the former")
    finally:
        os.kill(machine, signal.SIGCONT)
    assert waiting.communicate(timeout=200) == ("here\n", "")
    assert waiting.returncode == 0
