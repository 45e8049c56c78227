"""A native mount of a real guest: what it lets through, and what it survives. One story on one
instance."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances import mounts
from tests.instances.mounts import UID, Mounted
from tests.instances.site import SIZE, Site, site
from tools import virtiofsd_root


@pytest.fixture(scope="module")
def native(tiny_image: None) -> Iterator[Site]:
    """A daemon with a virtiofsd that will do."""
    try:
        environment = virtiofsd_root.environment()
    except OSError as error:
        pytest.skip(f"there is no virtiofsd here: {error}")
    with site(environment) as running:
        yield running


@pytest.fixture(scope="module")
def foo(native: Site) -> Iterator[Mounted]:
    launched = native.cli("launch", "--name", "foo", *SIZE, native.url)
    assert launched.stdout.endswith("Launched: foo\n"), launched
    native.done("stop", "foo")
    with mounts.directory() as source:
        native.daemon.stop()
        described = {"source": str(source), "target": "data", "uid": UID, "gid": UID}
        ids = {"uids": [{"host": UID, "guest": -1}], "gids": [{"host": UID, "guest": -1}]}
        mounts.set_mounts(native, "foo", {**described, **ids, "kind": "native"})
        native.daemon.start()
        native.done("start", "foo")
        here = Mounted(native, "foo", source)
        assert here.there()
        yield here


def test_files_go_both_ways_with_the_ids_of_either_side(foo: Mounted) -> None:
    assert "multipass-" in foo.inside("grep virtiofs /proc/mounts")
    foo.inside("echo there > data/guest; sudo sh -c 'echo root > data/root'")
    foo.inside("mkdir -p data/d/e; mv data/guest data/d/e/moved; ln -s moved data/d/e/link")
    moved = foo.source / "d/e/moved"
    assert moved.read_text() == "there\n" and (foo.source / "root").read_text() == "root\n"
    assert {path.lstat().st_uid for path in foo.source.rglob("*")} == {UID}
    assert foo.inside("stat -c '%u %g' data/root data/d") == "1000 1000\n1000 1000"
    foo.inside("rm -r data/d data/root")
    assert sorted(os.listdir(foo.source)) == ["hello"]


@pytest.mark.root
def test_the_guest_gets_nothing_that_the_user_could_not_get_alone(foo: Mounted) -> None:
    secret = foo.source / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    (foo.source / "shadow").symlink_to("/etc/shadow")
    foo.site.wait_for(lambda: "secret" in foo.inside("ls data"), "the new files")
    assert not foo.inside("sudo cat data/secret 2>/dev/null || true")
    assert "root:" not in foo.inside("sudo cat data/shadow 2>/dev/null || true")
    (server,) = foo.servers()
    (files,) = mounts.children(server)
    status = Path(f"/proc/{files}/status").read_text()
    assert f"Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n" in status and "CapEff:\t0000000000000000" in status
    assert set(os.listdir(f"/proc/{files}/root")) == {"lib", "lib64", "proc", "source", "usr"}
    for name in ("secret", "shadow"):
        (foo.source / name).unlink()


def test_it_goes_on_while_the_daemon_is_killed_and_is_back_after_the_guests_reboot(
    foo: Mounted,
) -> None:
    before = foo.servers()
    foo.site.kill_daemon()
    foo.wait()
    assert foo.servers() == before
    foo.site.reboot("foo")
    foo.wait()
    assert foo.servers() == before


def test_it_is_not_suspended_and_runs_on(foo: Mounted) -> None:
    answer = foo.site.cli("suspend", "foo")
    assert answer.returncode == 2
    assert "Cannot suspend instance foo: it runs with native mounts" in answer.stderr
    assert foo.site.state("foo") == "Running" and foo.there()


def test_after_the_end_of_its_server_nothing_new_hangs_and_a_restart_mounts_it(
    foo: Mounted,
) -> None:
    (server,) = foo.servers()
    os.kill(server, signal.SIGKILL)
    foo.site.wait_for(lambda: foo.site.logged("the server of the native mount"), "the warning")
    foo.site.wait_for(lambda: "virtiofs" not in foo.inside("cat /proc/mounts"), "the unmounting")
    assert foo.inside("ls data") == ""
    foo.site.done("stop", "foo", "--force")
    assert foo.servers() == []
    foo.site.done("start", "foo")
    assert foo.there()


def test_umount_takes_it_away_and_mount_needs_a_stopped_instance(foo: Mounted) -> None:
    foo.inside("cd data && (sleep 1000 </dev/null >/dev/null 2>&1 &)")
    used = foo.site.cli("umount", "foo:data")
    assert used.returncode == 2 and "failed to unmount \"data\" from 'foo': umount: " in used.stderr
    assert foo.inside("ls data | head -n 1; killall sleep") != ""
    foo.site.done("umount", "foo:data")
    assert foo.inside("ls data") == ""
    foo.site.wait_for(lambda: foo.servers() == [], "the end of the server")
    why = "Please stop the instance foo before attempting native mounts."
    answer = foo.site.cli("mount", "-t", "native", str(foo.source), "foo:x")
    assert answer.stderr.endswith(f'error mounting "x": {why}\n')
    foo.site.done("stop", "foo")
    assert list((foo.site.storage / "machines/foo").glob("share-*")) == []
    answer = foo.site.cli("mount", "-t", "native", "-u1:1", "-u2:2", str(foo.source), "foo:x")
    assert answer.stderr.endswith("Only one mapping per native mount allowed.\n")
    foo.site.done("mount", "-t", "native", str(foo.source), "foo:x")
    foo.site.done("start", "foo")
    assert foo.inside("cat x/hello") == "hi"
    foo.site.done("stop", "foo")


def test_a_source_that_is_gone_drops_the_mount_and_the_start_says_so(foo: Mounted) -> None:
    aside = foo.source.with_name("aside")
    foo.source.rename(aside)
    started = foo.site.cli("start", "foo")
    aside.rename(foo.source)
    assert started.returncode == 0
    text = f'Removing mount "x" from \'foo\': "{foo.source}" does not exist'
    assert text in started.stderr
    assert json.loads(mounts.record(foo.site, "foo").read_text())["mounts"] == []
