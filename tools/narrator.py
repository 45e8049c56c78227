"""Run the commands of the story with the real programs; print their output and compare it with the
documentation."""

import os
import shlex
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.cast import People, Person
from tools.daemon import Daemon
from tools.sandbox import MULTIPASS
from tools.terminal import Credentials, converse

RECOVERY_SECONDS = 30.0  # an appended certificate is trusted within a second on an idle machine
COMMAND_SECONDS = 60.0


@dataclass
class Story:
    """The story's daemon and users, and the mismatches so far."""

    daemon: Daemon
    people: People
    failures: list[str] = field(default_factory=list)
    step: str = ""

    # Output.

    def tell(self, text: str) -> None:
        self.step = text
        print(f"\n== {text}", flush=True)

    def check(self, what: str, expected: object, actual: object) -> None:
        if expected == actual:
            return
        self.failures.append(f"{self.step}: {what}")
        print(f"   NOT AS DOCUMENTED: {what}: expected {expected!r}, got {actual!r}", flush=True)

    def starts(self, what: str, expected: str, actual: str) -> None:
        """The output must begin with the documented text; a hint may follow."""
        self.check(what, expected, actual[: len(expected)])

    # Actions.

    def run(
        self,
        person: Person,
        *arguments: str,
        answers: Sequence[tuple[str, str]] = (),
        code: int = 0,
        says: str = "",
        seconds: float = COMMAND_SECONDS,
    ) -> str:
        """Run one command of the client and return its output; with ``answers``, at a terminal."""
        print(f"{person.name}$ multipass {shlex.join(arguments)}", flush=True)
        command = [str(MULTIPASS), *arguments]
        env = self.daemon.env(person.name)
        own = self._own(person)
        if answers:
            session = converse(command, answers, env, credentials=own)
            output, returncode = session.output, session.returncode
        else:
            done = subprocess.run(
                command,
                env=env,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=seconds,
                **own,
            )
            output, returncode = done.stdout, done.returncode
        print(output, end="" if output.endswith("\n") or not output else "\n")
        print(f"   (exit {returncode})", flush=True)
        self.check("exit code", code, returncode)
        self.starts("output", says, output)
        return output

    def _own(self, person: Person) -> Credentials:
        if person.uid is None:
            return {}
        os.chown(self.daemon.sandbox.home(person.name), person.uid, person.uid)
        return {"user": person.uid, "group": person.uid, "extra_groups": person.groups}

    def socket_mode(self, expected: int) -> None:
        status = self.daemon.socket_path.stat()
        mode = stat.S_IMODE(status.st_mode)
        print(f"$ stat -c '%a %u:%g' {shlex.quote(str(self.daemon.socket_path))}")
        print(f"{mode:o} {status.st_uid}:{status.st_gid}", flush=True)
        self.check("socket mode", f"{expected:o}", f"{mode:o}")

    def append_certificate(self, person: Person) -> None:
        """The documented recovery, with other paths."""
        line = (
            f"cat {shlex.quote(str(self.daemon.sandbox.certificate(person.name)))}"
            f" | tee -a {shlex.quote(str(self.daemon.store_path))} > /dev/null"
        )
        print(f"# {line}", flush=True)
        done = subprocess.run(["/bin/sh", "-c", line], check=False)
        self.check("exit code", 0, done.returncode)

    def until_trusted(self, person: Person) -> None:
        """Wait until the daemon has read the changed store; no restart is needed."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        command = [str(MULTIPASS), "list"]
        while time.monotonic() < deadline:
            done = subprocess.run(
                command,
                env=self.daemon.env(person.name),
                cwd="/",
                capture_output=True,
                check=False,
                timeout=COMMAND_SECONDS,
                **self._own(person),
            )
            if done.returncode == 0:
                return
            time.sleep(0.1)
