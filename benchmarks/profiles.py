"""Profiles of a `list`: in the daemon, and at the start of the client."""

import pstats
import subprocess
import sys
from io import StringIO

from benchmarks.place import CLIENT
from benchmarks.rates import LIST, LIST_REQUEST
from benchmarks.wire import Connection, context
from tools.notify import NotifySocket
from tools.sandbox import MULTIPASS, MULTIPASSD, Sandbox

CALLS = 3000
SHOWN = 30
READY_SECONDS = 60.0


def daemon_profile() -> str:
    """cProfile of the daemon over many calls on one connection; it slows everything down."""
    sandbox = Sandbox.create()
    result = sandbox.root / "profile"
    try:
        with NotifySocket(sandbox.root / "notify.sock") as notify:
            process = subprocess.Popen(
                [
                    sys.executable, "-I", "-m", "cProfile", "-o", str(result), str(MULTIPASSD),
                    "--logger", "stderr", "--address", sandbox.address,
                ],
                env={**sandbox.daemon_env(), "NOTIFY_SOCKET": str(notify.path)},
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            notify.wait_for("READY=1", READY_SECONDS)
        subprocess.run([str(MULTIPASS), "list"], env=sandbox.env(CLIENT), check=True)
        tls = context(sandbox.root_cert, sandbox.certificate(CLIENT), sandbox.key(CLIENT))
        connection = Connection(sandbox.socket_path, tls)
        for _ in range(CALLS):
            connection.call(LIST, LIST_REQUEST)
        connection.close()
        process.terminate()
        process.wait()
        text = StringIO()
        pstats.Stats(str(result), stream=text).sort_stats("tottime").print_stats(SHOWN)
        return text.getvalue()
    finally:
        sandbox.remove()


def client_imports(env: dict[str, str]) -> str:
    """The slowest imports of one `multipass list`, each with its own imports."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-X", "importtime", str(MULTIPASS), "list"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    heading, *timed = lines
    timed.sort(key=lambda line: int(line.split(":")[1].split("|")[0]), reverse=True)
    return "\n".join([heading, *timed[:SHOWN]])
