"""multipassd on a host of its own that no systemd started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests import waiting
from tests.instances.site import LAUNCH_SECONDS
from tests.multipassd.network.netns import Namespace
from tests.multipassd.network.site import ROOT, Site
from tools import machines
from tools.sandbox import MULTIPASS, Sandbox


class HandStarted:
    def __init__(self, host: Namespace, sandbox: Sandbox, *options: str) -> None:
        socket = sandbox.root / "hand"
        self._log = sandbox.root / "hand.log"
        storage = sandbox.storage
        self.env = {
            **sandbox.env("root"), "MULTIPASS_STORAGE": str(storage),
            "MULTIPASS_SERVER_ADDRESS": f"unix:{socket}", "MULTIPASS_ACCELERATOR": "tcg",
            "MULTIPASS_NETWORK_DIRECTORY": str(sandbox.root / "network"),
        }  # fmt: skip
        self.storage = storage
        self.directory = sandbox.root / "network"
        words = [str(ROOT / "bin/multipassd"), "--logger", "stderr", "-V", "debug"]
        words += ["--address", f"unix:{socket}"]
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                host.entering(*words, *options), env={**os.environ, **self.env}, stderr=log,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        waiting.until(lambda: "is ready" in self.log() or self.process.poll() is not None)

    def log(self) -> str:
        return self._log.read_text()

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(MULTIPASS), *words], env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=LAUNCH_SECONDS,
        )  # fmt: skip

    def children(self) -> list[int]:
        said = subprocess.run(
            ["pgrep", "-P", str(self.process.pid), "-f", "multipass-network"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return [int(word) for word in said.stdout.split()]


@contextmanager
def hand_started(site: Site, *options: str) -> Iterator[HandStarted]:
    sandbox = Sandbox.create()
    sandbox.root.chmod(0o755)  # dnsmasq's user reads addresses there
    daemon = HandStarted(site.host, sandbox, *options)
    try:
        yield daemon
    finally:
        if daemon.process.poll() is None:
            daemon.cli("delete", "--all", "--purge")
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.wait(60)
        machines.end(sandbox)
        sandbox.remove()
