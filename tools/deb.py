"""./dev deb: build the Debian package in a clean Debian 13 root and leave it in dist/.

Builds the files that git tracks, with uncommitted changes; other files never get into a package.
Runs lintian at the end.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools import roots
from tools.sandbox import CHECKOUT, INTERRUPTED

# Changes there make no other package.
UNPACKAGED = (".ci/", "benchmarks/", "debian/tests/", "snap/", "tests/", "tools/javascript/")
PAGE = ("cockpit/", "debian/cockpit-multipass.")  # what only the page's package is made of
LINTIAN = ("lintian", "--pedantic", "--allow-root", "--fail-on", "error,warning")


class BuildError(Exception):
    """The message ends with the last output of the build."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev deb", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--no-lint", action="store_true", help="leave lintian out")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        for name in untracked():
            print(f"dev: left out, as git does not track it: {name}", file=sys.stderr)
        package = build(CHECKOUT / "dist", lint=not options.no_lint)
    except (BuildError, roots.RootError, OSError) as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev: interrupted; what was made is removed", file=sys.stderr)
        return INTERRUPTED
    print(f"{package} ({time.monotonic() - began:.0f} s)")
    return 0


def build(destination: Path, *, lint: bool = False, work_in_progress: bool = False) -> Path:
    """The .deb in `destination`, with .dsc and .changes beside it. Raises BuildError, RootError."""
    with roots.unpacked(roots.tarball("build", roots.BUILD)) as root:
        place = root / "build"
        copy_source(place / "multipass", work_in_progress=work_in_progress)
        said = _run(root, "dpkg-buildpackage", "-us", "-uc", "--no-check-builddeps")
        if lint:
            said = _run(root, "sh", "-c", f"exec {' '.join(LINTIAN)} ../*.changes")
            if said.strip():  # information and pedantry have no exit code
                raise BuildError(f"lintian has something to say:\n{said.strip()}")
        return _collect(place, destination)


def kept() -> Path:
    """The package of the checkout for tests, including files that git does not track yet, as
    tracked ones may need them. Built only if no kept package fits."""

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            shutil.copyfile(build(Path(place), work_in_progress=True), path)
            _keep_page(Path(place))  # it comes with the same build

    return roots.kept("package", source_identity(), ".deb", make)


def kept_page() -> Path:
    """The same for the package of the console's page."""
    return _keep_page(None)


def _keep_page(built: Path | None) -> Path:
    """`built`: where the packages lie, if they were built just now."""

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as place:
            if built is None:
                build(Path(place), work_in_progress=True)
            found = (built or Path(place)).glob("cockpit-multipass_*_all.deb")
            shutil.copyfile(next(found), path)

    files = [name for name in _source_names(work_in_progress=True) if name.startswith(PAGE)]
    return roots.kept("page", _identity([*files, "debian/control", "debian/rules"]), ".deb", make)


def source_identity() -> str:
    """A hash of all files that the package contains or is built by."""
    names = _source_names(work_in_progress=True)
    return _identity([name for name in names if not name.startswith((*UNPACKAGED, *PAGE))])


def _identity(names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        content = (CHECKOUT / name).read_bytes()
        digest.update(f"{name}\0{_mode(name):o}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def copy_source(destination: Path, *, work_in_progress: bool = False) -> None:
    """Copy the files that git tracks; with `work_in_progress` also those that it would track."""
    for name in _source_names(work_in_progress):
        target = destination / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CHECKOUT / name, target)
        target.chmod(_mode(name))
    for place, _, _ in os.walk(destination):
        os.chmod(place, 0o755)  # for any umask: the source package has these modes, too


def untracked() -> list[str]:
    """Files that git neither tracks nor ignores: `git add` may have been forgotten."""
    return _listed("--others", "--exclude-standard")


def _source_names(work_in_progress: bool) -> list[str]:
    names = _listed("--cached") + (untracked() if work_in_progress else [])
    return sorted(name for name in names if (CHECKOUT / name).exists())  # some may be deleted


def _listed(*options: str) -> list[str]:
    done = subprocess.run(
        ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z", *options],
        cwd=CHECKOUT, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise BuildError(f"what belongs into the package is asked of git, which said: {said}")
    return list(filter(None, os.fsdecode(done.stdout).split("\0")))


def _mode(name: str) -> int:
    return 0o755 if (CHECKOUT / name).stat().st_mode & 0o100 else 0o644


def _run(root: Path, *command: str) -> str:
    done = roots.run_in(root, "env", "-C", "/build/multipass", *command)
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-60:])
        raise BuildError(f"{command[0]} failed in the clean root:\n{tail}")
    return done.stdout


def _collect(place: Path, destination: Path) -> Path:
    destination.mkdir(parents=True, exist_ok=True)
    owner = CHECKOUT.stat()
    for source in [path for path in place.iterdir() if path.is_file()]:
        target = destination / source.name
        shutil.copyfile(source, target)
        os.chown(target, owner.st_uid, owner.st_gid)  # root built it; the checkout's owner gets it
    return next(destination.glob("multipass_*_all.deb"))


if __name__ == "__main__":
    sys.exit(main())
