"""The two snaps that a real snapd wants before ours, made of Debian: a base called core24, and a
snapd that only says its version, so that the Debian package's own is used.

The base has CPython 3.12 at /usr/bin/python3, as the real one. Both are made in a root that has
squashfs-tools.
"""

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.system.host import in_root
from tools import roots, snap_python

BASE, SNAPD = "core24.snap", "snapd.snap"
SNAPD_VERSION = "2.1"  # lower than any package's

# What snapd mounts over, and so wants to be there in a base.
_DIRECTORIES = (
    "dev", "home", "lib/firmware", "lib/modules", "media", "meta", "mnt", "opt", "proc", "root",
    "run", "snap", "srv", "sys", "tmp", "usr/lib/modules", "usr/lib/snapd", "usr/src",
    "var/lib/extrausers", "var/lib/snapd", "var/log", "var/snap", "var/tmp",
)  # fmt: skip
_LEFT_OUT = (
    "dev", "usr/include", "usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man",
    "usr/lib/apt", "var/cache", "var/lib/apt", "var/lib/dpkg",
)  # fmt: skip


def make(place: Path, destination: str) -> None:
    """Write both to `destination`, a directory in the root `place`."""
    target = place / destination.lstrip("/")
    target.mkdir(parents=True)
    _base(target / "base")
    _snapd(target / "snapd")
    for tree, snap in (("base", BASE), ("snapd", SNAPD)):
        in_root(
            place, "mksquashfs", f"{destination}/{tree}", f"{destination}/{snap}",
            "-noappend", "-comp", "lzo", "-no-xattrs", "-no-progress", "-quiet",
        )  # fmt: skip
        shutil.rmtree(target / tree)


def _base(tree: Path) -> None:
    tree.mkdir()
    archive = roots.tarball("snap-base", snap_python.LIBRARIES)
    subprocess.run(["tar", "-xpf", archive, "-C", tree, "--numeric-owner"], check=True)
    snap_python.install(tree)
    (tree / "usr/bin/python3").symlink_to(snap_python.NAME)
    in_root(tree, snap_python.NAME, "-I", "-c", snap_python.IMPORTS)
    in_root(tree, snap_python.NAME, "-m", "compileall", "-q", f"/usr/lib/{snap_python.NAME}")
    for name in _LEFT_OUT:
        shutil.rmtree(tree / name, ignore_errors=True)
    for name in _DIRECTORIES:
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "usr/bin/snapctl").symlink_to("../lib/snapd/snapctl")
    _describe(tree, name="core24", version="test", summary="Stands in for core24", type="base")


def _snapd(tree: Path) -> None:
    (tree / "usr/lib/snapd").mkdir(parents=True)
    (tree / "usr/lib/snapd/info").write_text(f"VERSION={SNAPD_VERSION}\n")
    _describe(tree, name="snapd", version=SNAPD_VERSION, summary="No snapd", type="snapd")


def _describe(tree: Path, **meta: str) -> None:
    (tree / "meta").mkdir(exist_ok=True)
    text = yaml.safe_dump({**meta, "description": meta["summary"], "architectures": ["amd64"]})
    (tree / "meta/snap.yaml").write_text(text)
