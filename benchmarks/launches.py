"""Instances: how fast one is there, how fast one gets in, and what many cost."""

import shutil
from collections.abc import Iterator
from functools import partial

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
EXEC = Goal(1.5)
MANY = 200
LISTS = Goal(2)
RUN_AT_ONCE = 10
MEMORY = Goal(70, unit=" MiB")


def rows(place: Place) -> Iterator[Row]:
    if shutil.which("qemu-system-x86_64") is None:
        raise RuntimeError("qemu-system-x86_64 is missing")
    with site() as one:
        yield from launch_rows(one, place.scaled(9, 3))
        yield memory_row(one)
    with site() as one:
        yield exec_row(one, place.scaled(15, 5))
    yield from list_rows(place.scaled(25, 7))


def launch_rows(one: Site, rounds: int) -> Iterator[Row]:
    one.keep(NOBLE, SMALL_IMAGE)
    one.keep(JAMMY, LARGE_IMAGE)
    first = timed_launch(one, "noble")
    small, large = take_turns(
        rounds, lambda: timed_launch(one, "noble"), lambda: timed_launch(one, "jammy")
    )
    what = "`launch` of a cached image: request to QEMU running"
    figures = f"the daemon's first, with its look at KVM: {first * 1e3:.0f} ms"
    yield Row(what, "-", small * 1e3, LAUNCH, figures)
    figures = f"{large * 1e3:.0f} ms, {small * 1e3:.0f} ms"
    yield Row("the same of a 10 GB image", "of a 100 MB image", large / small, BY_SIZE, figures)


def timed_launch(one: Site, image: str) -> float:
    seconds = one.launch("bench", image, RUNNING, "10G")
    one.remove("bench")
    return seconds


def memory_row(one: Site) -> Row:
    pid = one.daemon.pid
    idle = settled_pss_mib(pid)
    names = [f"bench{number}" for number in range(RUN_AT_ONCE)]
    for name in names:
        one.launch(name, "noble", RUNNING, "10G")
    if len(machines.running(one.sandbox)) != RUN_AT_ONCE:
        raise RuntimeError("not all instances run")
    pss, rss = settled_pss_mib(pid), rss_mib(pid)
    for name in names:
        one.remove(name)
    what = f"daemon PSS with {RUN_AT_ONCE} running instances"
    # This process has the same libraries open, which makes PSS smaller: RSS is the most it can be.
    figures = f"without them {idle:.1f} MiB; RSS {rss:.1f} MiB"
    return Row(what, "QEMU not counted", pss, MEMORY, figures)


def exec_row(one: Site, rounds: int) -> Row:
    one.publish(NOBLE, cloudimage.kept())
    one.command("launch", "noble", "--name", "bench", "--memory", "256M", "--disk", "1G")
    env = one.daemon.env(CLIENT)
    bare, ours = take_turns(
        rounds,
        lambda: run_seconds(bare_ssh(one.sandbox), env),
        lambda: run_seconds([str(MULTIPASS), "exec", "bench", "--", "true"], env),
    )
    one.remove("bench")
    figures = f"{ours * 1e3:.0f} ms, ssh {bare * 1e3:.0f} ms"
    return Row("`exec NAME -- true`", "bare ssh, fresh connection", ours / bare, EXEC, figures)


def bare_ssh(sandbox: Sandbox) -> list[str]:
    known = records.registry(sandbox)
    known.load()
    options = {
        "IdentitiesOnly": "yes", "IdentityFile": str(sandbox.data / KEY_FILE), "BatchMode": "yes",
        "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "LogLevel": "ERROR",
        "Port": str(known.get("bench").ssh_port),
    }  # fmt: skip
    flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["/usr/bin/ssh", "-F", "none", *flags, "ubuntu@127.0.0.1", "true"]


def list_rows(rounds: int) -> Iterator[Row]:
    few, many = registered(1), registered(MANY)
    with site(sandbox=few) as one, site(sandbox=many) as lots:
        for words in (["list"], ["info", "--no-runtime-information"]):
            command = [str(MULTIPASS), *words]
            envs = [each.daemon.env(CLIENT) for each in (one, lots)]
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
