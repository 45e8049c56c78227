"""What is run on the host and in the guest for a native mount. Pure but for one look at a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from multipassd.mounts import native_commands, virtiofsd
from multipassd.mounts.native_commands import NotMounted
from multipassd.mounts.order import Order

ORDER = Order(
    storage="/s", instance="foo", target="t", path="t", source="/srv/x", uid=1000, gid=1001,
    uids=((7, 1000),), gids=((8, 1000),), host="unused", port=1, host_key="unused", user="unused",
    native=True,
)  # fmt: skip


def test_all_that_the_guest_does_is_done_by_the_user() -> None:
    words = virtiofsd.command(ORDER, 5, "/source")
    assert "--fd=5" in words and "--shared-dir=/source" in words
    assert "--translate-uid=squash-guest:0:1000:4294967295" in words
    assert "--translate-uid=host:7:1000:1" in words
    assert "--translate-gid=squash-guest:0:1001:4294967295" in words
    assert "--translate-gid=host:8:1000:1" in words
    assert Order.read({**ORDER.message(), "uids": [[7, 1000]], "gids": [[8, 1000]]}) == ORDER


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "Install the package virtiofsd"),
        (b"an older one", "is older"),
        (b"--translate-uid", ""),
    ],
)
def test_what_the_host_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, text: str
) -> None:
    monkeypatch.setenv(virtiofsd.ROOT, str(tmp_path))
    if content is not None:
        program = tmp_path / virtiofsd.PROGRAM.lstrip("/")
        program.parent.mkdir(parents=True)
        program.write_bytes(content)
    missing = virtiofsd.missing()
    assert text in missing and bool(missing) == bool(text)


def test_the_guest_is_not_believed() -> None:
    assert native_commands.placed("/home/ubuntu\n/home/ubuntu/x y\n") == "/home/ubuntu/x y"
    for said in ("", "mkdir: no space\n", "/home/ubuntu\n/home\n", "/home/ubuntu\n/proc/1\n",
                 "/home/ubuntu\n/home/ubuntu/.ssh\n", "a\nb\n", "/h\n/a\n/b\n"):  # fmt: skip
        with pytest.raises(NotMounted):
            native_commands.placed(said)
    native_commands.check("mounted\n")
    with pytest.raises(NotMounted, match="has no virtiofs"):
        native_commands.check("no virtiofs\n")
    with pytest.raises(NotMounted, match="wrong fs type"):
        native_commands.check("\x1b[2Jmount: wrong fs type\n")


@pytest.mark.parametrize("place", ["/home/u/a", "/home/u/a b", "/x\\y", "/tab\there"])
def test_any_place_in_the_table_of_mounts_is_found(tmp_path: Path, place: str) -> None:
    written = place.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")
    (tmp_path / "mounts").write_text(
        f"other / ext4 rw 0 0\nmultipass-1 {written} virtiofs rw 0 0\n"
    )
    script = native_commands.unmount("multipass-1").replace("/proc/mounts", f"{tmp_path}/mounts")
    (tmp_path / "sudo").write_text('#!/bin/sh\nprintf "%s" "$2" > "$0.said"\n')
    (tmp_path / "sudo").chmod(0o755)
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for shell in ("sh", "bash"):
        subprocess.run([shell, "-c", script], env=path, check=True)
        assert (tmp_path / "sudo.said").read_text() == place
