"""A daemon with instances of the tiny image on real QEMU, emulated, and what tests ask about it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

from tests import smalldisk
from tests.system.people import Person
from tools import cloudimage, machines
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS, Sandbox
from tools.terminal import Credentials, Session, converse

SIZE = ("--memory", "160M", "--disk", "1G")
SMALL = ("--memory", "128M")  # for an image without a system
LAUNCH_SECONDS = 280.0  # an emulated guest on a busy machine
WAIT_SECONDS = 60.0
POLL = 0.01

GREETING = b"no system here"
# A boot sector: each byte behind it to the serial port, up to a zero, then hlt for ever.
PRINTS = bytes.fromhex("31c08ed8 be157c baf803 ac 84c0 7403 ee ebf8 f4 ebfd")


class Site:
    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.program = MULTIPASS
        self.credentials: Credentials = {}
        self.entering: Sequence[str] = ()  # what runs a client elsewhere, as in a namespace
        self.sandbox = Sandbox.create()
        self.daemon = Daemon(
            self.sandbox,
            options=("--verbosity", "debug"),
            env={"MULTIPASS_ACCELERATOR": "tcg", **(env or {})},
        )

    def hand_over(self, person: Person, copy: Path) -> None:
        """To this user, before the daemon is started: both programs are run by them, from a copy
        of the project that they can read."""
        self.daemon.run_by(person.uid, person.gid, copy)
        self.sandbox.env("alice")  # makes the home
        for path in (self.sandbox.root, *self.sandbox.root.glob("**/*")):
            os.chown(path, person.uid, person.gid)
        self.program = copy / "bin" / "multipass"
        self.credentials = person.credentials

    @property
    def url(self) -> str:
        return f"file://{cloudimage.kept()}"

    @property
    def storage(self) -> Path:
        return self.sandbox.storage

    def command(self, *arguments: str) -> list[str]:
        return [*self.entering, str(self.program), *arguments]

    def cli(self, *arguments: str, input: str | None = None) -> CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.daemon.env("alice"),
            cwd="/",
            input=input or "",
            capture_output=True,
            text=True,
            timeout=LAUNCH_SECONDS,
            check=False,
            **self.credentials,
        )

    def done(self, *arguments: str, input: str | None = None) -> str:
        """What a command printed that must succeed, without its progress."""
        answer = self.cli(*arguments, input=input)
        assert answer.returncode == 0, (answer, self.daemon.log_text()[-3000:])
        return answer.stdout

    def launch(self, name: str, *options: str) -> CompletedProcess[str]:
        return self.cli("launch", "--name", name, *SIZE, *options, self.url)

    def launching(self, name: str, image: str) -> subprocess.Popen[str]:
        """A launch of an image without a system: it waits for an answer that never comes."""
        launching = self.begin("launch", "--name", name, *SMALL, image)
        self.wait_for(lambda: self.logged(f"launch of {name}: boot"), "the boot")
        return launching

    def run_silent(self, name: str, image: str) -> None:
        """Start a machine that never answers, and stop waiting for it."""
        give_up(self.launching(name, image))

    def starting(self, name: str) -> subprocess.Popen[str]:
        return self.begin("start", name)

    def begin(self, *arguments: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        """Ctrl-C works in it, also where these tests run in a shell's background."""
        return subprocess.Popen(
            ["env", "--default-signal=INT", *self.command(*arguments)],
            env=self.daemon.env("alice"),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **self.credentials,
        )

    def on_terminal(self, *arguments: str, answers: Sequence[tuple[str, str]]) -> Session:
        """`converse`, with Ctrl-C."""
        environment = self.daemon.env("alice")
        command = self.command(*arguments)
        return converse(
            command, answers, environment, credentials=self.credentials, interruptible=True
        )

    def inside(self, name: str, command: str) -> str:
        return self.done("exec", name, "--", "sh", "-c", command).strip()

    def boot_id(self, name: str) -> str:
        return self.inside(name, "cat /proc/sys/kernel/random/boot_id")

    def reboot(self, name: str) -> None:
        """By the guest itself; returns once the next boot answers."""
        before = self.boot_id(name)
        self.cli("exec", name, "--", "sudo", "reboot")

        def booted() -> bool:
            asked = self.cli("exec", name, "--", "cat", "/proc/sys/kernel/random/boot_id")
            return asked.returncode == 0 and asked.stdout.strip() != before

        self.wait_for(booted, "the reboot")

    def states(self) -> dict[str, str]:
        listed = json.loads(self.done("list", "--format", "json"))["list"]
        return {each["name"]: each["state"] for each in listed}

    def state(self, name: str) -> str:
        return self.states().get(name, "")

    def kill_daemon(self) -> None:
        """kill -9, and the next one."""
        self.daemon.kill()
        self.daemon.start()

    def logged(self, text: str) -> bool:
        return text in self.daemon.log_text()

    def records(self, name: str) -> list[Path]:
        """The records of instances whose names begin so."""
        return sorted(self.record_place.glob(f"{name}*.json"))

    @property
    def record_place(self) -> Path:
        return self.storage / "data/instances"

    def kept_of(self, name: str) -> list[Path]:
        """All that lies anywhere under the daemon's storage and belongs to this instance."""
        roots = (self.storage / "data/instances", self.storage / "machines", self.storage / "run")
        return [path for root in roots if root.exists() for path in root.glob(f"*{name}*")]

    def qemus(self) -> list[int]:
        """Processes that QEMU's program runs in, or that wait to become it, of this site."""
        return [pid for pid, words in _processes() if str(self.storage / "run") in words]

    def qemus_of(self, name: str) -> list[int]:
        place = str(self.storage / "run" / name)
        return [pid for pid, words in _processes() if f"{place}/" in words]

    def wait_for(
        self, condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS
    ) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            log = self.daemon.log_text()[-3000:]
            assert time.monotonic() < deadline, f"{what} did not come about\n{log}"
            time.sleep(POLL)


def silent_disk(path: Path, rest: bytes = bytes(1 << 20)) -> str:
    """The URL of a disk without a system: it prints GREETING and answers nothing."""
    path.write_bytes((PRINTS + GREETING).ljust(510, b"\0") + b"\x55\xaa" + rest)
    return f"file://{path}"


def give_up(waiting: subprocess.Popen[str]) -> None:
    waiting.kill()
    waiting.communicate()


@contextmanager
def site(
    env: Mapping[str, str] | None = None,
    storage_size: str = "",
    owner: tuple[Person, Path] | None = None,
    inside: Sequence[str] = (),
    addresses: Sequence[str] = (),
) -> Iterator[Site]:
    """`storage_size`: of a disk that it has for itself, for root alone. `owner`: who runs it, and
    the copy of the project for that. `inside`: the command that runs it elsewhere, as in a
    namespace. `addresses`: where it listens, beside its socket."""
    here = Site(env)
    for address in (here.daemon.address, *addresses) if addresses else ():
        here.daemon.options += ["--address", address]
    try:
        if owner is not None:
            here.hand_over(*owner)
        if inside:
            here.daemon.run_inside(inside)
        if storage_size:
            smalldisk.mount(here.storage, storage_size)
        here.daemon.start()
        yield here
        here.daemon.stop()
    finally:
        here.daemon.abandon()
        machines.end(here.sandbox)
        here.sandbox.remove()


def _processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            if "qemu-system" in words:
                yield int(entry.name), words
