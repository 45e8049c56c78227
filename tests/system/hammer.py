"""Callers in a loop while something is done to the daemon: CLI processes, and Google's gRPC."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.host import Host

PROGRAM = Path(__file__).with_name("grpc_hammer.py")
SOCKET = "run/multipass_socket"
ROOT_CERTIFICATE = "var/lib/multipassd/multipass_root_cert.pem"
CLIENT = ".local/share/multipass-client-certificate/multipass_cert"

PROCESSES = 3  # in loops; two CPUs have no use for more
PATIENCE = 120.0  # seconds for the last calls to end

CLI, ONE_CHANNEL, NEW_CHANNELS = "CLI", "gRPC, one channel", "gRPC, a channel a call"

BEGUN = "begun\n"  # what each caller says after its first call

# Prints how many calls were made, and a line for each one that failed.
LOOP = """
i=0
while [ ! -e /tmp/enough ]; do
    said=$(multipass list 2>&1) || echo "LOST $said"
    [ $i != 0 ] || echo begun
    i=$((i + 1))
done
echo "calls: $i"
"""


@dataclass
class Count:
    """What callers of one kind met."""

    calls: int = 0
    failed: list[str] = field(default_factory=list)


class Hammers:
    """`user` must be trusted. Started by the constructor; `await_first_calls` before anything is
    done to the daemon; `finish` ends them and counts."""

    def __init__(self, host: Host, user: str = "alice") -> None:
        self._host = host
        host.run("rm", "-f", "/tmp/enough")
        self._cli = [
            subprocess.Popen(
                [*host.entering(user), "sh", "-c", LOOP], stdout=subprocess.PIPE, text=True
            )
            for _ in range(PROCESSES)
        ]
        self._grpc = {
            ONE_CHANNEL: grpc_caller(host, "one", user),
            NEW_CHANNELS: grpc_caller(host, "new", user),
        }

    def await_first_calls(self) -> None:
        """Each calls from here on: to load Google's gRPC takes longer than a quick restart."""
        for each in [*self._cli, *self._grpc.values()]:
            assert each.stdout is not None
            assert (said := each.stdout.readline()) == BEGUN, said

    def finish(self) -> dict[str, Count]:
        """By the kind of caller."""
        self._host.run("touch", "/tmp/enough")
        said = "".join(each.communicate(timeout=PATIENCE)[0] for each in self._cli)
        calls = sum(int(line[7:]) for line in said.splitlines() if line.startswith("calls: "))
        counts = {CLI: Count(calls, said.split("LOST ")[1:])}
        for kind, program in self._grpc.items():
            found = json.loads(program.communicate(timeout=PATIENCE)[0])
            counts[kind] = Count(found["calls"], found["failed"])
        return counts


def hammered(host: Host, what: Callable[[], object]) -> dict[str, Count]:
    """What callers met while `what` was done."""
    hammers = Hammers(host)
    try:
        hammers.await_first_calls()
        what()
    finally:
        counts = hammers.finish()
    return counts


def grpc_caller(host: Host, how: str, user: str = "alice") -> "subprocess.Popen[str]":
    """It runs outside, where grpcio is, and reaches the host's socket through /proc: to the
    daemon it is root with the user's certificate. It ends when its stdin does."""
    home = host.root / "home" / user
    inside = Path("/proc") / str(host.leader) / "root"
    return subprocess.Popen(
        [
            sys.executable, PROGRAM, how, f"unix:{inside / SOCKET}",
            host.root / ROOT_CERTIFICATE, home / f"{CLIENT}.pem", home / f"{CLIENT}_key.pem",
        ],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )  # fmt: skip


def table(what: str, counts: dict[str, Count]) -> str:
    """A line for people."""
    columns = (
        f"{kind}: {each.calls} made, {len(each.failed)} failed" for kind, each in counts.items()
    )
    return " | ".join([what, *columns])
