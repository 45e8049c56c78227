"""A classic mount beside plain sshfs that is set up by hand with the same guest; a native mount
beside the classic one."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.place import Place
from benchmarks.report import Goal, Row
from benchmarks.site import Site, site
from multipassd.cloudinit.ssh_keys import KEY_FILE
from tools import cloudimage, records, virtiofsd_root
from tools.imagetree import NOBLE

SFTP_SERVER = "/usr/lib/openssh/sftp-server"
RATE = Goal(0.9, at_most=False)
FULL, QUICK = 500, 50  # MB
SECONDS = 60.0  # until the plain one is mounted
OURS, PLAIN, NATIVE = "ours", "plain", "native"  # directories in the guest
BESIDE_CLASSIC = Goal(3.0, at_most=False)
WRITE = "dd if=/dev/zero of={place}/data bs=1M count={size} 2>/dev/null"
READ = "dd if={place}/data of=/dev/null bs=1M 2>/dev/null"
FORGET = "sudo sh -c 'echo 3 > /proc/sys/vm/drop_caches'"


def rows(place: Place) -> Iterator[Row]:
    for program in ("qemu-system-x86_64", SFTP_SERVER):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing")
    size = place.scaled(FULL, QUICK)
    with ExitStack() as stack:
        target = stack.enter_context(site(env=virtiofsd_root.environment()))
        target.publish(NOBLE, cloudimage.kept())
        target.command("launch", "noble", "--name", "bench", "--memory", "256M", "--disk", "1G")
        for name in (OURS, PLAIN, NATIVE):
            (target.sandbox.root / name).mkdir()
        target.command("mount", str(target.sandbox.root / OURS), f"bench:{OURS}")
        stack.enter_context(by_hand(target, target.sandbox.root / PLAIN))
        for what, command in (("writes", WRITE), ("reads", READ)):
            plain, ours = taken(target, command, size, PLAIN, OURS)
            figures = f"{size / ours:.1f} MB/s, {size / plain:.1f} MB/s"
            row = f"classic mount, the guest {what} {size} MB"
            yield Row(row, "plain sshfs by hand", plain / ours, RATE, figures)
        target.command("stop", "bench")
        native = str(target.sandbox.root / NATIVE), f"bench:{NATIVE}"
        target.command("mount", "--type", "native", *native)
        target.command("start", "bench")
        for what, command in (("writes", WRITE), ("reads", READ)):
            classic, ours = taken(target, command, size, OURS, NATIVE)
            figures = f"{size / ours:.1f} MB/s, {size / classic:.1f} MB/s"
            row = f"native mount, the guest {what} {size} MB"
            yield Row(row, "classic mount", classic / ours, BESIDE_CLASSIC, figures)


def taken(target: Site, command: str, size: int, *places: str) -> tuple[float, ...]:
    """The seconds of each place."""
    seconds = []
    for place in places:
        inside(target, FORGET)
        started = time.perf_counter()
        inside(target, command.format(place=place, size=size))
        seconds.append(time.perf_counter() - started)
    return tuple(seconds)


@contextmanager
def by_hand(target: Site, source: Path) -> Iterator[None]:
    """sshfs in the guest, over ssh, at OpenSSH's own server on this host."""
    known = records.registry(target.sandbox)
    known.load()
    port = known.get("bench").ssh_port
    options = (
        f"IdentityFile={target.sandbox.data / KEY_FILE}", "IdentitiesOnly=yes", "BatchMode=yes",
        "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
    )  # fmt: skip
    flags = [word for option in options for word in ("-o", option)]
    inside(target, f"mkdir -p {PLAIN}")
    command = f"sudo sshfs -f plain:{source} /home/ubuntu/{PLAIN} -o passive,allow_other"
    ssh = ["ssh", "-F", "none", *flags, "-p", str(port), "ubuntu@127.0.0.1", command]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        processes = [
            subprocess.Popen([SFTP_SERVER], stdin=ours.fileno(), stdout=ours.fileno()),
            subprocess.Popen(ssh, stdin=theirs.fileno(), stdout=theirs.fileno()),
        ]
    try:
        wait_until_mounted(target)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_until_mounted(target: Site) -> None:
    end = time.monotonic() + SECONDS
    while inside(target, f"grep -c ' /home/ubuntu/{PLAIN} ' /proc/mounts || true").strip() == "0":
        if time.monotonic() > end:
            raise RuntimeError("plain sshfs was not mounted")
        time.sleep(0.2)


def inside(target: Site, command: str) -> str:
    return target.command("exec", "bench", "--", "sh", "-c", command)
