"""A classic mount of a real guest: what it lets through, and what it survives. The tests tell one
story on one instance; another worker may take over in the middle."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.instances import mounts
from tests.instances.mounts import UID, Mounted
from tests.instances.site import SIZE, Site

READING = "cat data/hello"


@pytest.fixture(scope="module")
def foo(shared: Site) -> Iterator[Mounted]:
    launched = shared.cli("launch", "--name", "foo", *SIZE, shared.url)
    assert launched.stdout.endswith("Launched: foo\n"), launched
    with mounts.mounted(shared, "foo") as here:
        yield here


def test_files_go_both_ways_with_the_ids_of_either_side(foo: Mounted) -> None:
    foo.inside("echo there > data/guest; sudo sh -c 'echo root > data/root'")
    foo.inside("mkdir -p data/d/e; mv data/guest data/d/e/moved; ln -s moved data/d/e/link")
    moved = foo.source / "d/e/moved"
    assert moved.read_text() == "there\n" and (foo.source / "root").read_text() == "root\n"
    assert {path.lstat().st_uid for path in foo.source.rglob("*")} == {UID}
    assert os.readlink(moved.with_name("link")) == "moved"
    assert foo.inside("stat -c '%u %g' data/root data/d") == "1000 1000\n1000 1000"
    foo.inside("chmod 640 data/root; chmod u+s data/root; touch -d '2001-02-03 04:05' data/root")
    status = (foo.source / "root").stat()
    assert status.st_mode & 0o7777 == 0o640 and status.st_mtime < 1e9
    foo.inside("dd if=/dev/zero of=data/sparse bs=1 count=1 seek=50000000 2>/dev/null")
    assert (foo.source / "sparse").stat().st_size == 50_000_001
    assert (foo.source / "sparse").stat().st_blocks * 512 < 1 << 20
    foo.inside("rm -r data/d data/sparse data/root")
    assert sorted(os.listdir(foo.source)) == ["hello"]


@pytest.mark.root
def test_the_guest_gets_nothing_that_the_user_could_not_get_alone(foo: Mounted) -> None:
    secret = foo.source / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    (foo.source / "shadow").symlink_to("/etc/shadow")
    (foo.source / "up").symlink_to("../../../../../../etc")
    foo.site.wait_for(lambda: "secret" in foo.inside("ls data"), "the new files")
    assert not foo.inside("sudo cat data/secret 2>/dev/null || true")
    # The guest's kernel follows links itself, and within the guest.
    links = foo.inside("readlink data/shadow; readlink data/up").split()
    assert links == ["/etc/shadow", 6 * "../" + "etc"]
    assert "root:" not in foo.inside("sudo cat data/shadow 2>/dev/null || true")
    assert foo.inside("sudo chown root data/secret 2>/dev/null || echo refused") == "refused"
    for path in ("secret", "shadow", "up"):
        (foo.source / path).unlink()


def test_running_reads_and_writes_go_on_while_the_daemon_is_killed(foo: Mounted) -> None:
    before = foo.parts()
    foo.inside(
        "(for i in $(seq 50); do echo $i >> data/log || echo failed >> /tmp/failed; sleep 0.1; done"
        "; touch data/done) </dev/null >/dev/null 2>&1 &"
    )
    foo.site.kill_daemon()
    foo.site.kill_daemon()
    foo.site.wait_for((foo.source / "done").exists, "the end of the writer")
    assert foo.parts() == before
    assert (foo.source / "log").read_text().split() == [str(number) for number in range(1, 51)]
    assert foo.inside("cat /tmp/failed 2>/dev/null; rm data/log data/done") == ""


def test_a_killed_part_ends_the_mount_at_once_and_it_comes_back(foo: Mounted) -> None:
    for part in ("server", "ssh", "files"):
        before = foo.parts()
        os.kill(before[part], signal.SIGKILL)
        foo.site.wait_for(lambda: not foo.there() or bool(foo.servers()), "an answer", 20)
        foo.wait()
        after = foo.parts()
        assert not set(before.values()) & set(after.values()), part
        assert foo.inside("grep -c '^multipass-.*:' /proc/mounts") == "1"
    # The guest's sshfs hangs, and all that looks at the mount.
    foo.inside("sudo killall -STOP sshfs; (ls data; touch ended) </dev/null >/dev/null 2>&1 &")
    os.kill(foo.parts()["server"], signal.SIGKILL)
    foo.wait()
    assert foo.inside("ls ended") == "ended"


def test_it_comes_back_after_the_guests_own_reboot(foo: Mounted) -> None:
    foo.site.reboot("foo")
    foo.wait()


def test_it_comes_back_after_a_stop_and_after_a_suspension(foo: Mounted) -> None:
    foo.site.done("stop", "foo")
    assert foo.servers() == []
    foo.site.done("start", "foo")
    assert foo.there()
    foo.site.done("suspend", "foo")
    assert foo.servers() == []
    foo.site.done("start", "foo")
    assert foo.there()


def test_a_killed_daemons_server_is_ended_and_a_source_that_became_a_link_drops_the_mount(
    foo: Mounted,
) -> None:
    foo.site.daemon.kill()
    for qemu in foo.site.qemus_of("foo"):
        os.kill(qemu, signal.SIGKILL)
    foo.site.daemon.start()
    foo.site.wait_for(lambda: not foo.servers(), "the end of the server")
    aside = foo.source.with_name("aside")
    foo.source.rename(aside)
    foo.source.symlink_to("/etc")
    started = foo.site.cli("start", "foo")
    foo.source.unlink()
    aside.rename(foo.source)
    assert started.returncode == 0
    assert f'Removing mount "data" from \'foo\': "{foo.source}" is a symbolic' in started.stderr
    assert json.loads(mounts.record(foo.site, "foo").read_text())["mounts"] == []
    assert foo.inside("ls data") == "" and foo.servers() == []
    mounts.put(foo)
