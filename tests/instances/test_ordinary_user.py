"""The whole life of an instance of an ordinary user: their daemon, their QEMU, no rights at all.

One test, as each step stands on the one before, and a boot takes long.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.instances.site import SIZE, Site, site
from tests.system.people import People
from tools import cloudimage

pytestmark = pytest.mark.root  # to make the user, and to become them

LEFT_RUNNING = "(sleep 5000 </dev/null >/dev/null 2>&1 &)"
SLEEPERS = "ps | grep -c '[s]leep 5000'"


@pytest.fixture
def bobs(tiny_image: None, copy: Path, people: People) -> Iterator[Site]:
    with site(owner=(people.bob, copy)) as here:
        yield here


def test_it_lives_as_roots_instances_do(bobs: Site, people: People) -> None:
    it_is_launched_from_a_file_that_only_its_user_can_read(bobs)
    all_of_it_is_its_users(bobs, people)
    its_users_directory_is_mounted_and_no_others(bobs, people)
    it_outlives_the_daemon_and_goes_on_after_suspending(bobs)
    twenty_commands_at_once_do_it_no_harm(bobs)
    it_is_purged_and_nothing_is_left(bobs)


def it_is_launched_from_a_file_that_only_its_user_can_read(bobs: Site) -> None:
    image = bobs.sandbox.home("alice") / "image.qcow2"
    shutil.copyfile(cloudimage.kept(), image)
    image.chmod(0o600)
    status = bobs.sandbox.root.stat()
    os.chown(image, status.st_uid, status.st_gid)
    launched = bobs.cli("launch", "--name", "foo", *SIZE, f"file://{image}")
    assert launched.stdout.endswith("Launched: foo\n"), launched
    image.unlink()


def owner(path: Path) -> int:
    return path.stat().st_uid


def all_of_it_is_its_users(foo: Site, people: People) -> None:
    (pid,) = foo.qemus_of("foo")
    assert owner(Path(f"/proc/{pid}")) == people.bob.uid
    for path in foo.storage.rglob("*"):
        assert owner(path) == people.bob.uid, path
    assert foo.done("list", "--format", "csv").splitlines()[1].startswith("foo,Running,N/A,")
    assert foo.inside("foo", "id -un") == "ubuntu"


def its_users_directory_is_mounted_and_no_others(foo: Site, people: People) -> None:
    source = foo.sandbox.root / "shared"
    source.mkdir()
    (source / "hello").write_text("hi\n")
    os.chown(source, people.bob.uid, people.bob.gid)
    closed = foo.cli("mount", "/root", "foo:closed")
    assert closed.returncode == 1 and "is not readable" in closed.stderr
    done = foo.cli("mount", str(source), "foo:shared")
    if done.returncode:  # a host without user namespaces
        assert "may not make a mount namespace" in done.stderr
        return
    assert foo.inside("foo", "cat shared/hello; sudo sh -c 'echo root > shared/made'") == "hi"
    assert owner(source / "made") == people.bob.uid


def it_outlives_the_daemon_and_goes_on_after_suspending(foo: Site) -> None:
    before = foo.boot_id("foo")
    foo.inside("foo", LEFT_RUNNING)
    foo.kill_daemon()
    assert foo.boot_id("foo") == before
    foo.done("suspend", "foo")
    assert foo.states() == {"foo": "Suspended"} and not foo.qemus()
    foo.done("start", "foo")
    assert (foo.boot_id("foo"), foo.inside("foo", SLEEPERS)) == (before, "1")


def twenty_commands_at_once_do_it_no_harm(foo: Site) -> None:
    before = foo.boot_id("foo")
    commands = [
        ("exec", "foo", "--", "true"),
        ("info", "foo"),
        ("suspend", "foo"),
        ("start", "foo"),
    ] * 5
    with ThreadPoolExecutor(len(commands)) as pool:
        answers = list(pool.map(lambda command: foo.cli(*command), commands))
    assert {each.returncode for each in answers} <= {0, 2}, answers
    assert not any("journal tells more" in each.stderr for each in answers), answers
    assert len(foo.qemus()) <= 1
    foo.done("start", "foo")
    assert (foo.boot_id("foo"), foo.inside("foo", SLEEPERS)) == (before, "1")


def it_is_purged_and_nothing_is_left(foo: Site) -> None:
    foo.done("stop", "foo")
    assert foo.states() == {"foo": "Stopped"}
    assert not foo.logged("foo ignores the power button")
    foo.done("delete", "foo")
    foo.done("recover", "foo")
    foo.done("delete", "--purge", "foo")
    assert foo.states() == {}
    assert not foo.kept_of("foo") and not foo.qemus()
    warnings = [line for line in foo.daemon.log_text().splitlines() if "[warning]" in line]
    assert all("root" in line for line in warnings), warnings  # each start tells what it is not
