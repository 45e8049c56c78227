"""./dev snap: build the snap without snapcraft and leave it in dist/, for tests.

snapcraft.yaml is checked against snapcraft's own schema, its parts are built by the library that
snapcraft builds parts with, in a clean Debian 13 root with core24's Python and without network, and
meta/snap.yaml is written from it. A release is built by `snapcraft pack` from the same file.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tools import deb, roots, snap_pins, snap_python
from tools.deb import BuildError
from tools.sandbox import CHECKOUT, INTERRUPTED
from tools.snap_meta import UnknownKey, snap_yaml
from tools.snap_pins import PLATFORMS, PinError, download, download_sources

ARCHITECTURE = "amd64"
SNAPCRAFT_YAML = "snap/snapcraft.yaml"
PACKAGED = ("bin/", "client/", "LICENSE", "multipassd/", "protocol/", "snap/", "tools/snap")
# snapcraft 8 comes with this series. It wants Debian's python3-apt, which PyPI does not have.
CRAFT_PARTS = "craft-parts ~= 2.30"
WORKSHOP_PYTHON = "3.13"  # Debian 13's
BUILD = (
    "apt-utils", "gcc", "libc6-dev", "libsystemd-dev", "pkg-config", "python3", "python3-apt",
    "python3-dev", "python3-pip", "python3-setuptools", "python3-venv", "python3-wheel",
    "squashfs-tools",
)  # fmt: skip
BUILDERS = ("setuptools", "wheel")  # what python3-setuptools and python3-wheel are in Ubuntu
# snapcraft's list of the base's packages, which are not staged again.
BASE_PACKAGES = "snap/core24/current/usr/share/snappy/dpkg.list"
DEBS = "/build/debs"
COMPRESSION = "xz"  # as snapcraft; lzo starts no faster here and is larger by half
# Extension modules and byte code of a CPython carry its name, and theirs the machine's.
TAGGED = re.compile(r"\.cpython-.*\.(so|pyc)$|\.pypy.*$")
OURS = re.compile(r"\.cpython-312(-x86_64-linux-gnu\.so|\.pyc)$")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev snap", description=(__doc__ or "").splitlines()[0])
    parser.parse_args()
    began = time.monotonic()
    try:
        snap = build(CHECKOUT / "dist")
    except (BuildError, PinError, UnknownKey, roots.RootError, OSError) as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev: interrupted; what was made is removed", file=sys.stderr)
        return INTERRUPTED
    print(f"{snap} ({snap.stat().st_size / 1e6:.1f} MB, {time.monotonic() - began:.0f} s)")
    return 0


def build(destination: Path) -> Path:
    """The .snap in `destination`. Raises BuildError, PinError, UnknownKey, RootError."""
    check_schema(CHECKOUT / SNAPCRAFT_YAML)
    project = yaml.safe_load((CHECKOUT / SNAPCRAFT_YAML).read_text())
    meta = snap_yaml(project, ARCHITECTURE)
    with roots.unpacked(_workshop()) as root:
        deb.copy_source(root / "build/multipass")
        prime = _prime(root)
        _add_meta(prime, meta)
        _check(prime)
        _run(
            root, "mksquashfs", "/build/work/prime", "/build/multipass.snap", "-noappend",
            "-comp", COMPRESSION, "-no-xattrs", "-all-root", "-no-progress", "-quiet",
        )  # fmt: skip
        destination.mkdir(parents=True, exist_ok=True)
        name = f"{meta['name']}_{meta['version']}_{ARCHITECTURE}-testbase.snap"
        owner = CHECKOUT.stat()
        shutil.copyfile(root / "build/multipass.snap", destination / name)
        os.chown(destination / name, owner.st_uid, owner.st_gid)
        return destination / name


def kept() -> Path:
    """The snap of the checkout with uncommitted changes; built only if no kept snap fits."""

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            shutil.copyfile(build(Path(place)), path)

    return roots.kept("snap", source_identity(), ".snap", make)


def source_identity() -> str:
    """A hash of all files that the snap contains or is built by."""
    with tempfile.TemporaryDirectory() as place:
        deb.copy_source(Path(place))
        digest = hashlib.sha256(f"{snap_python.prefix()}{CRAFT_PARTS}".encode())
        for path in sorted(path for path in Path(place).rglob("*") if path.is_file()):
            name = str(path.relative_to(place))
            if name.startswith(PACKAGED):
                content = path.read_bytes()
                mode = path.stat().st_mode
                digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def check_schema(snapcraft_yaml: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.snapcraft",
            str(snapcraft_yaml),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise BuildError(f"snapcraft would refuse {snapcraft_yaml}:\n{done.stdout}")


# -- the clean root -------------------------------------------------------------------------------


def _workshop() -> Path:
    """A cached root with core24's Python, snapcraft's library, and the wheels to install."""
    base = roots.tarball("snap-build", (*BUILD, *snap_python.LIBRARIES))
    pinned = snap_pins.PINS.read_text() + snap_pins.SOURCES.read_text()
    staged = _stage_packages()
    wanted = f"{base.name}{snap_python.prefix()}{CRAFT_PARTS}{BUILDERS}{pinned}{staged}"

    def make(path: Path) -> None:
        with roots.unpacked(base) as root:
            snap_python.install(root, to_build=True)
            platforms = PLATFORMS[ARCHITECTURE]
            wheels, pins = root / "build/wheels", ("--no-deps", "--require-hashes", "-r")
            download(wheels, snap_pins.PYTHON, platforms, *pins, str(snap_pins.PINS))
            download_sources(wheels, "--require-hashes", "-r", str(snap_pins.SOURCES))
            download(root / "build/builders", snap_pins.PYTHON, platforms, *BUILDERS)
            _run(
                root, snap_python.NAME, "-m", "pip", "install", "--quiet", "--no-index",
                "--root-user-action=ignore", "--find-links", "/build/builders", *BUILDERS,
            )  # fmt: skip
            download(root / "build/craft", WORKSHOP_PYTHON, platforms, CRAFT_PARTS)
            _run(root, "python3", "-m", "venv", "--system-site-packages", "/opt/craft")
            _run(root, "/opt/craft/bin/pip", "install", "--quiet", "--no-index",
                 "--find-links", "/build/craft", CRAFT_PARTS)  # fmt: skip
            shutil.rmtree(root / "build/craft")
            _add_debs(root, staged)
            subprocess.run(["tar", "-cf", path, "-C", root, "."], check=True)

    identity = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    return roots.kept("snap-workshop", identity, ".tar", make)


def _stage_packages() -> list[str]:
    parts = yaml.safe_load((CHECKOUT / SNAPCRAFT_YAML).read_text())["parts"].values()
    return sorted({name for part in parts for name in part.get("stage-packages", ())})


def _add_debs(root: Path, names: list[str]) -> None:
    """Make the Debian packages that parts stage, with dependencies, the root's only source of
    packages; and list those that the test base has."""
    place = root / DEBS[1:]
    (place / "partial").mkdir(parents=True)
    _run(root, "apt-get", "-qq", "update", network=True)
    _run(
        root, "apt-get", "-qq", "install", "--yes", "--download-only", "--no-install-recommends",
        "-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache::archives={DEBS}", *names,
        network=True,
    )  # fmt: skip
    (place / "Packages").write_text(
        _run(root, "env", "-C", DEBS, "apt-ftparchive", "packages", ".")
    )
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] copy:{DEBS} ./\n")
    with roots.unpacked(roots.tarball("snap-base", snap_python.LIBRARIES)) as base:
        had = _run(base, "dpkg", "-l")
    target = root / BASE_PACKAGES
    target.parent.mkdir(parents=True)
    target.write_text(had)


def _prime(root: Path) -> Path:
    said = _run(
        root, "env", "-C", "/build/multipass", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/build/wheels",
        "PIP_ROOT_USER_ACTION=ignore", "/opt/craft/bin/python", "-m", "craft_parts", "--verbose",
        "--application-name", "snapcraft", "--base", "core24", "--work-dir", "/build/work",
        "--file", SNAPCRAFT_YAML, "prime",
    )  # fmt: skip
    prime = root / "build/work/prime"
    if not (prime / "lib").is_dir():
        raise BuildError(f"craft-parts built nothing:\n{said}")
    return prime


def _add_meta(prime: Path, meta: dict[str, Any]) -> None:
    """Add the files that snapcraft adds to those of the parts."""
    (prime / "meta").mkdir(exist_ok=True)
    (prime / "meta/snap.yaml").write_text(yaml.safe_dump(meta, sort_keys=False))
    hooks = CHECKOUT / "snap/hooks"
    for hook in sorted(hooks.iterdir()) if hooks.is_dir() else []:
        target = prime / "meta/hooks" / hook.name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(hook, target)
        target.chmod(0o755)


def foreign(names: Iterable[str]) -> list[str]:
    """Extension modules that core24's Python can't load."""
    return sorted(name for name in names if TAGGED.search(name) and not OURS.search(name))


def _check(prime: Path) -> None:
    found = foreign([str(path.relative_to(prime)) for path in prime.rglob("*")])
    if found:
        raise BuildError(f"not for the Python of core24: {', '.join(found[:10])}")


def _run(root: Path, *command: str, network: bool = False) -> str:
    done = roots.run_in(root, *command, network=network)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-60:])
        raise BuildError(f"{command[0]} failed in the clean root:\n{tail}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
