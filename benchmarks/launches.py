"""Instances: time to launch and to exec, and the cost of many."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.measure import run_seconds, settled_pss_mib, take_turns
from benchmarks.place import CLIENT, Place
from benchmarks.proc import rss_mib
from benchmarks.report import Goal, Row
from benchmarks.site import RUNNING, Site, site
from multipassd.cloudinit.ssh_keys import KEY_FILE
from tools import cloudimage, machines, records
from tools.imagetree import JAMMY, NOBLE
from tools.sandbox import MULTIPASS, Sandbox

SMALL_IMAGE, LARGE_IMAGE = 100 << 20, 10 << 30
LAUNCH = Goal(500, unit=" ms")
BY_SIZE = Goal(1.2)
EXEC, AGAIN = Goal(1.0), Goal(0.35)
CERTIFICATE = Goal(1.15)
MANY = 200
LISTS = Goal(2)
RUN_AT_ONCE = 10
EXEC_WORDS = ("exec", "bench", "--", "true")
WAITS_WITHIN = 2.0  # seconds after a command in which its connection can be used again
LOGIN = "ubuntu@127.0.0.1"
SHARED_KEY = ["/usr/bin/python3", "-IS", str(Path(__file__).with_name("shared_key_exec.py"))]
MEMORY = Goal(36, unit=" MiB")


def rows(place: Place) -> Iterator[Row]:
    if shutil.which("qemu-system-x86_64") is None:
        raise RuntimeError("qemu-system-x86_64 is missing")
    with site() as target:
        yield from launch_rows(target, place.scaled(9, 3))
        yield memory_row(target)
    with site() as target:
        yield from exec_rows(target, place.scaled(15, 5))
    yield from list_rows(place.scaled(25, 7))


def launch_rows(target: Site, rounds: int) -> Iterator[Row]:
    target.keep(NOBLE, SMALL_IMAGE)
    target.keep(JAMMY, LARGE_IMAGE)
    first = timed_launch(target, "noble")
    small, large = take_turns(
        rounds, lambda: timed_launch(target, "noble"), lambda: timed_launch(target, "jammy")
    )
    what = "`launch` of a cached image: request to QEMU running"
    figures = f"the daemon's first, with its look at KVM: {first * 1e3:.0f} ms"
    yield Row(what, "-", small * 1e3, LAUNCH, figures)
    figures = f"{large * 1e3:.0f} ms, {small * 1e3:.0f} ms"
    yield Row("the same of a 10 GB image", "of a 100 MB image", large / small, BY_SIZE, figures)


def timed_launch(target: Site, image: str) -> float:
    seconds = target.launch("bench", image, RUNNING, "10G")
    target.remove("bench")
    return seconds


def memory_row(target: Site) -> Row:
    pid = target.daemon.pid
    idle = settled_pss_mib(pid)
    names = [f"bench{number}" for number in range(RUN_AT_ONCE)]
    for name in names:
        target.launch(name, "noble", RUNNING, "10G")
    if len(machines.running(target.sandbox)) != RUN_AT_ONCE:
        raise RuntimeError("not all instances run")
    pss, rss = settled_pss_mib(pid), rss_mib(pid)
    for name in names:
        target.remove(name)
    what = f"daemon PSS with {RUN_AT_ONCE} running instances"
    # This process maps the same libraries, which makes PSS smaller; RSS is the upper limit.
    figures = f"without them {idle:.1f} MiB; RSS {rss:.1f} MiB"
    return Row(what, "QEMU not counted", pss, MEMORY, figures)


def exec_rows(target: Site, rounds: int) -> Iterator[Row]:
    target.publish(NOBLE, cloudimage.kept())
    target.command("launch", "noble", "--name", "bench", "--memory", "256M", "--disk", "1G")
    env = target.daemon.env(CLIENT)
    runs = ExecRuns(target.sandbox.root, env)
    bare, shared, first, again = take_turns(
        rounds,
        lambda: run_seconds(bare_ssh(target.sandbox), env),
        lambda: run_seconds([*SHARED_KEY, *EXEC_WORDS], env),
        runs.first,
        runs.again,
    )
    target.remove("bench")
    figures = f"{first * 1e3:.0f} ms, ssh {bare * 1e3:.0f} ms"
    what = "`exec NAME -- true`, first"
    yield Row(what, "bare ssh, fresh connection", first / bare, EXEC, figures)
    figures = f"{again * 1e3:.0f} ms, ssh {bare * 1e3:.0f} ms"
    again_what = "the same again within 10 s"
    yield Row(again_what, "bare ssh, fresh connection", again / bare, AGAIN, figures)
    figures = f"{first * 1e3:.0f} ms, {shared * 1e3:.0f} ms"
    yield Row(what, "by the shared key, in two calls", first / shared, CERTIFICATE, figures)


class ExecRuns:
    """Each `first` in a directory of its own, where no connection waits; `again` follows it."""

    def __init__(self, place: Path, env: Mapping[str, str]) -> None:
        self._place = place
        self._env = dict(env)

    def first(self) -> float:
        # The path of a socket must be short.
        self._env["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="", dir=self._place)
        return self._seconds()

    def again(self) -> float:
        end = time.monotonic() + WAITS_WITHIN
        while not list(Path(self._env["XDG_RUNTIME_DIR"]).glob("*/*.*.*")):
            if time.monotonic() > end:
                raise RuntimeError("no connection waits for its next use")
            time.sleep(0.001)
        return self._seconds()

    def _seconds(self) -> float:
        return run_seconds([str(MULTIPASS), *EXEC_WORDS], self._env)


def bare_ssh(sandbox: Sandbox) -> list[str]:
    return ["/usr/bin/ssh", *ssh_flags(sandbox), LOGIN, "true"]


def ssh_flags(sandbox: Sandbox) -> list[str]:
    """Of ssh, scp and sftp, for the instance `bench`."""
    known = records.registry(sandbox)
    known.load()
    options = {
        "IdentitiesOnly": "yes", "IdentityFile": str(sandbox.data / KEY_FILE), "BatchMode": "yes",
        "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR",
        "Port": str(known.get("bench").ssh_port),
    }  # fmt: skip
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["-F", "none", *flags]


def list_rows(rounds: int) -> Iterator[Row]:
    few, many = registered(1), registered(MANY)
    with site(sandbox=few) as target, site(sandbox=many) as lots:
        for words in (["list"], ["info", "--no-runtime-information"]):
            command = [str(MULTIPASS), *words]
            envs = [each.daemon.env(CLIENT) for each in (target, lots)]
            sides = [partial(run_seconds, command, env) for env in envs]
            single, all_ = take_turns(rounds, *sides)
            figures = f"{all_ * 1e3:.1f} ms, {single * 1e3:.1f} ms"
            what = f"`multipass {' '.join(words)}`, {MANY} instances"
            yield Row(what, "1 instance", all_ / single, LISTS, figures)


def registered(count: int) -> Sandbox:
    sandbox = Sandbox.create()
    known = records.registry(sandbox)
    for number in range(count):
        known.put(records.make(f"bench{number}", number))
    return sandbox
