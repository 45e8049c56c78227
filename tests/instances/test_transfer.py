"""`transfer` and aliases with an instance on real QEMU."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.instances.site import Site

NAME = "files"


@pytest.fixture(scope="module")
def site(shared: Site) -> Site:
    launched = shared.launch(NAME)
    assert launched.returncode == 0, launched
    return shared


def test_files_and_directories_go_there_and_back(site: Site, tmp_path: Path) -> None:
    source = tmp_path / "some"
    (source / "in ner").mkdir(parents=True)
    for number in range(100):
        (source / "in ner" / f"file {number}").write_bytes(os.urandom(number * 100))
    (source / "link").symlink_to("in ner")
    (source / "script").write_text("#!/bin/sh\necho ran\n")
    (source / "script").chmod(0o755)
    site.done("transfer", "-r", str(source), f"{NAME}:~/copy")
    assert site.inside(NAME, "./copy/script; ls copy/link | wc -l") == "ran\n100"
    site.done("transfer", "-r", f"{NAME}:copy", str(tmp_path / "back"))
    for path in source.rglob("*"):
        back = tmp_path / "back" / path.relative_to(source)
        assert back.is_symlink() == path.is_symlink()
        assert back.is_dir() or back.read_bytes() == path.read_bytes()
    site.done("transfer", "-", f"{NAME}:.dotfile", input="by a stream")
    assert site.done("transfer", f"{NAME}:~/.dotfile", "-") == "by a stream"


def test_a_place_of_root_says_how_to_get_there(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = site.cli("transfer", str(tmp_path / "file"), f"{NAME}:/etc/file")
    assert refused.returncode == 2
    assert "[error] [sftp] cannot open remote file /etc/file: Permission denied" in refused.stderr
    assert "multipass exec <instance> -- sudo mv" in refused.stderr


def test_a_disk_of_the_guest_that_fills_up_keeps_what_was_there(site: Site, tmp_path: Path) -> None:
    site.inside(NAME, "mkdir full && sudo mount -t tmpfs -o size=1m,mode=777 tmpfs full")
    site.inside(NAME, "echo old > full/file")
    (tmp_path / "file").write_bytes(os.urandom(3 << 20))
    refused = site.cli("transfer", str(tmp_path / "file"), f"{NAME}:full/file")
    assert refused.returncode == 2
    assert (
        "cannot write remote file /home/ubuntu/full/file: No space left on device" in refused.stderr
    )
    assert site.inside(NAME, "ls -A full; cat full/file") == "file\nold"


def test_an_alias_runs_follows_its_instance_and_goes_with_it(site: Site) -> None:
    site.done("alias", f"{NAME}:uname", "kernel")
    assert site.done("kernel") == "Linux\n"
    assert site.done("kernel", "--", "-m") == site.inside(NAME, "uname -m") + "\n"
    site.done("stop", NAME)
    site.done("set", f"local.{NAME}.name=renamed")
    listed = json.loads(site.done("aliases", "--format", "json"))
    assert listed["contexts"]["default"]["kernel"]["instance"] == "renamed"
    stopped = site.cli("transfer", "/etc/hostname", "renamed:")
    assert (stopped.returncode, stopped.stderr.splitlines()[0]) == (
        2, 'transfer failed: instance "renamed" is not running'
    )  # fmt: skip
    site.done("delete", "--purge", "renamed")
    assert site.done("aliases") == "No aliases defined.\n"
