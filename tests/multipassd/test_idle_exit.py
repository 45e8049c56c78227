"""A daemon that ends for want of callers: who comes in that moment waits for the next one."""

from __future__ import annotations

import subprocess
import sys

from tools.sandbox import CHECKOUT, Sandbox

SECONDS = 60.0
# The caller has connected when the daemon first checks whether it is idle. A call of a real daemon
# could not be timed like that.
STORY = """
import asyncio, socket, sys
from multipassd import service
from protocol.addresses import UnixAddress

async def story(path):
    one = service.Service([UnixAddress(path)], 60.0, None)
    one._idle_exit = 1e-9
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        await one.start()
        assert one.stopped.is_set(), "it is not idle"
        for _ in range(10):
            await asyncio.sleep(0)
        print("taken" if len(one._server) else "waits")
    await one.stop()

asyncio.run(story(sys.argv[1]))
"""


def test_a_caller_who_comes_as_the_daemon_ends_waits_for_the_next_one(sandbox: Sandbox) -> None:
    """It would be answered and, if it asked for more than ten seconds' work, be cut short."""
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(sandbox.socket_path)],
        env=sandbox.daemon_env(), cwd=CHECKOUT, capture_output=True, text=True, check=False,
        timeout=SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "waits\n"), done.stderr
