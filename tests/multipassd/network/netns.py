"""Network namespaces that are gone with the test: hosts, guests and the world between them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools import roots

SETUP = "mount -t sysfs sysfs /sys && ip link set lo up && echo up && exec cat"
SECONDS = 60.0


def missing() -> str:
    """Why no namespace can be made here; empty if that is possible."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("unshare", "nsenter", "ip", "nft", "dnsmasq", "udhcpc"):
        if shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
            return f"{program} is not installed"
    if not roots.can_mount_alone():
        return roots.NO_MOUNT_ALONE
    return "" if Path("/dev/net/tun").exists() else "there is no /dev/net/tun"


REQUIRED = [pytest.mark.root, pytest.mark.skipif(bool(missing()), reason=missing())]


class Namespace:
    def __init__(self, pid: int) -> None:
        self.pid = pid

    def entering(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "--", *command]

    def run(self, *command: str, code: int | None = 0) -> str:
        done = subprocess.run(
            self.entering(*command),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        assert code in (None, done.returncode), f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def links(self) -> set[str]:
        lines = self.run("ip", "-brief", "link").splitlines()
        return {line.split()[0].partition("@")[0] for line in lines}


@contextmanager
def namespace() -> Iterator[Namespace]:
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", SETUP],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"up\n"
        yield Namespace(process.pid)
    finally:
        process.stdin.close()  # its end
        process.wait(SECONDS)
        process.stdout.close()


def connect(near: Namespace, name: str, other: Namespace, far: str, mac: str = "") -> None:
    """A cable between two namespaces: a device `name` in `near`, and `far` in `other`."""
    near.run("ip", "link", "add", name, "type", "veth", "peer", "name", "far0")
    near.run("ip", "link", "set", "far0", "netns", str(other.pid), "name", far)
    if mac:
        other.run("ip", "link", "set", far, "address", mac)
    near.run("ip", "link", "set", name, "up")
    other.run("ip", "link", "set", far, "up")
