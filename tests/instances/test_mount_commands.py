"""`mount`, `umount`, `launch --mount` and `local.privileged-mounts` on a real guest: one story."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.instances.site import SIZE, Site


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source")
    (place / "hello").write_text("hi\n")
    (place / "sub").mkdir()
    return place


@pytest.fixture(scope="module")
def foo(shared: Site, source: Path) -> Iterator[Site]:
    """Launched with a mount, and with a stopped instance beside it."""
    launched = shared.cli("launch", "--name", "foo", *SIZE, "--mount", f"{source}:a b", shared.url)
    lines = launched.stdout.splitlines()
    assert lines[-2:] == ["Launched: foo", f"Mounted '{source}' into 'foo:a b'"], launched
    yield shared


def shown(site: Site) -> dict[str, object]:
    listed = json.loads(site.done("info", "foo", "--format", "json", "--no-runtime-information"))
    mounts: dict[str, object] = listed["info"]["foo"]["mounts"]
    return mounts


def test_info_shows_it_in_all_formats(foo: Site, source: Path) -> None:
    me, group = f"{os.getuid()}:default", f"{os.getgid()}:default"
    described = {"gid_mappings": [group], "source_path": str(source), "uid_mappings": [me]}
    assert shown(foo) == {"a b": described}
    table = foo.done("info", "foo")
    assert (
        f"Mounts:         {source} => a b\n"
        f"                    UID map: {me}\n                    GID map: {group}\n"
    ) in table
    cells = foo.done("info", "foo", "--format", "csv").splitlines()[1].split(",")
    assert cells[12] == f"{source} => a b"
    assert (
        f"    mounts:\n      a b:\n        uid_mappings:\n          - \"{me}\"\n"
        f"        gid_mappings:\n          - \"{group}\"\n        source_path: {source}\n"
    ) in foo.done("info", "foo", "--format", "yaml")  # fmt: skip


def test_exec_runs_where_the_directory_of_this_host_is_mounted(foo: Site, source: Path) -> None:
    def where(directory: Path) -> str:
        done = foo.begin("exec", "foo", "pwd", cwd=directory)
        said, _ = done.communicate()
        return said.strip()

    assert where(source) == "/home/ubuntu/a b"
    assert where(source / "sub") == "/home/ubuntu/a b/sub"
    assert foo.inside("foo", "pwd; cat 'a b/hello'") == "/home/ubuntu\nhi"


def test_what_can_not_be_mounted_is_listed_and_the_rest_is_mounted(foo: Site, source: Path) -> None:
    answer = foo.cli(
        "mount", str(source), "foo://home/ubuntu/a b/", "nope", "foo:///proc/x", "foo:/mnt/here",
    )  # fmt: skip
    assert answer.returncode == 2
    assert answer.stderr == (
        "mount failed: The following errors occurred:\n"
        "\"//home/ubuntu/a b/\" is already mounted in 'foo'\n"
        "instance 'nope' does not exist\n"
        'unable to mount to "///proc/x"\n'
    )
    assert foo.inside("foo", "cat /mnt/here/hello") == "hi"
    native = foo.cli("mount", "-t", "native", str(source), "foo:/n")
    assert native.stderr == (
        "mount failed: The following errors occurred:\n"
        'error mounting "/n": Please stop the instance foo before attempting native mounts.\n'
    )
    answer = foo.cli("mount", "-u", "1:2", "-u", "3:2", str(source), "foo:/n")
    assert answer.stderr == (
        "mount failed: Mount cannot apply mapping with duplicate ids:\nuids: 1:2, 3:2\n"
    )
    assert set(shown(foo)) == {"a b", "/mnt/here"}


def test_the_setting_unmounts_at_once_and_mounts_again(foo: Site, source: Path) -> None:
    assert foo.done("get", "local.privileged-mounts") == "true\n"
    foo.done("set", "local.privileged-mounts=OFF")
    assert foo.inside("foo", "grep -c ^multipass- /proc/mounts || true") == "0"
    assert foo.inside("foo", "ls 'a b'") == ""
    answer = foo.cli("mount", str(source), "foo:/x")
    assert answer.stderr.startswith(
        "mount failed: Mounts are disabled on this installation of Multipass.\n"
    )
    answer = foo.cli("info", "foo", "--no-runtime-information")
    assert "Mounts:         --\n" in answer.stdout
    assert "[error]" in answer.stderr
    assert "Mounts have been disabled on this instance of Multipass" in answer.stderr
    foo.done("set", "local.privileged-mounts=on")
    assert foo.inside("foo", "cat 'a b/hello' /mnt/here/hello") == "hi\nhi"


def test_a_mount_that_the_guest_uses_stays(foo: Site) -> None:
    foo.inside("foo", "cd /mnt/here && (sleep 1000 </dev/null >/dev/null 2>&1 &)")
    answer = foo.cli("umount", "foo:/mnt/here")
    assert answer.returncode == 2
    assert "failed to unmount \"/mnt/here\" from 'foo': umount: " in answer.stderr, answer
    assert set(shown(foo)) == {"a b", "/mnt/here"}
    assert foo.inside("foo", "cat /mnt/here/hello; killall sleep") == "hi"


def test_umount_takes_one_or_all_away_and_a_restart_brings_none_back(foo: Site) -> None:
    answer = foo.cli("umount", "foo:/mnt", "gone", "foo:/mnt//here/")
    assert answer.stderr == (
        "umount failed: The following errors occurred:\n"
        "path \"/mnt\" is not mounted in 'foo'\n"
        "instance 'gone' does not exist\n"
    )
    assert set(shown(foo)) == {"a b"}
    assert foo.inside("foo", "ls /mnt/here") == ""
    foo.done("umount", "foo")
    foo.done("umount", "foo")
    assert shown(foo) == {}
    assert foo.inside("foo", "grep -c ^multipass- /proc/mounts || true") == "0"


def test_a_stopped_instance_has_it_from_its_next_start_on_and_a_deleted_one_no_more(
    foo: Site, source: Path
) -> None:
    foo.done("stop", "foo")
    foo.done("mount", str(source), "foo:later", "foo")
    assert set(shown(foo)) == {"later", f"/home/ubuntu/{source.name}"}
    foo.done("start", "foo")
    assert foo.inside("foo", f"cat later/hello {source.name}/hello") == "hi\nhi"
    foo.done("delete", "foo")
    foo.done("recover", "foo")
    assert shown(foo) == {}
