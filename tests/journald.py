"""systemd's journald, on a journal of its own: seen only by programs that are run inside."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import until

JOURNALD = Path("/usr/lib/systemd/systemd-journald")
TOOLS = ("unshare", "nsenter", "setpriv", "journalctl")
START = (
    "mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log && mkdir -p /run/systemd/journal "
    f"/run/log/journal && exec {JOURNALD}"
)


class Journald:
    """A running one."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def entering(self) -> list[str]:
        """What runs the command behind it where this journal is the host's."""
        return ["nsenter", f"--mount=/proc/{self._process.pid}/ns/mnt", "--"]

    def run(
        self, *command: str, uid: int = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        user = (
            ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        )
        return subprocess.run(
            [*self.entering, *user, *command],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done(self, *command: str, uid: int = 0, env: Mapping[str, str] | None = None) -> str:
        found = self.run(*command, uid=uid, env=env)
        assert found.returncode == 0, found
        return found.stdout

    def sync(self) -> None:
        """All that was sent is written."""
        self.done("journalctl", "--sync")

    def ready(self) -> bool:
        return self.run("test", "-S", "/run/systemd/journal/socket").returncode == 0


def missing() -> str:
    needed: Sequence[str] = [each for each in TOOLS if shutil.which(each) is None]
    if not JOURNALD.exists():
        needed = [str(JOURNALD), *needed]
    return f"needs {', '.join(needed)}" if needed else ""


@contextmanager
def journald() -> Iterator[Journald]:
    """Needs root; skips where a program is missing."""
    if why := missing():
        pytest.skip(why)
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", START],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        running = Journald(process)
        until(running.ready, "journald")
        yield running
    finally:
        process.kill()
        process.wait()
