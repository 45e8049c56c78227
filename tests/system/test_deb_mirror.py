"""The built package and apt, with a real mirror: on a bare Debian 13, and through piuparts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.host import PACKAGE, Host
from tools import deb, roots

BARE_TARBALL = "/bare.tar"
REPOSITORY = "/repository"
# piuparts upgrades from what apt knows: the same package as a version before this one.
OLDER_IN_A_REPOSITORY = """
mkdir "$2"
dpkg-deb -R "$1" /older
sed -i 's/^Version: .*/&~older/' /older/DEBIAN/control
dpkg-deb -b /older "$2"
cd "$2"
dpkg-scanpackages . > Packages
"""
PIUPARTS = (
    "piuparts", "--basetgz", BARE_TARBALL, "--distribution", roots.SUITE, "--mirror", roots.MIRROR,
    "--bindmount", REPOSITORY, "--extra-repo", f"deb [trusted=yes] file:{REPOSITORY} ./",
    "--no-eatmydata",  # would have to be in the tarball
    "--skip-logrotatefiles-test",  # the package has none, and the test would install logrotate
    "--install-remove-install", PACKAGE,
)  # fmt: skip

pytestmark = pytest.mark.host


@pytest.fixture(autouse=True)
def _mirror() -> None:
    if why := roots.mirror_problem():
        pytest.skip(why)


def apt(root: Path, *arguments: str) -> str:
    done = roots.run_in(root, "apt-get", "-q", "-y", *arguments, network=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def bare() -> Iterator[Path]:
    """A Debian 13 that has systemd and nothing of ours, with the package lying there."""
    with roots.unpacked(roots.tarball("bare", roots.BARE)) as root:
        shutil.copyfile(deb.kept(), f"{root}{PACKAGE}")
        yield root


def test_apt_installs_it_with_all_that_it_needs_on_a_bare_debian(bare: Path) -> None:
    apt(bare, "update")
    said = apt(bare, "install", "--no-install-recommends", PACKAGE)
    assert all(f"Setting up {name}" in said for name in (*roots.DEPENDENCIES, "multipass"))
    host = Host(bare)
    try:
        host.boot()
        assert host.show("multipassd.socket", "ActiveState") == "active"
        assert host.run("multipass", "list").stdout == "No instances found.\n"
        host.run("multipass-trust", "check")
    finally:
        host.stop()
        host.console.unlink(missing_ok=True)


def test_piuparts_finds_nothing_left_behind_or_broken() -> None:
    """Install and purge; install, remove, install again, purge; install, upgrade, purge."""
    with roots.unpacked(roots.tarball("package-test", roots.PACKAGE_TEST)) as root:
        shutil.copyfile(deb.kept(), f"{root}{PACKAGE}")
        shutil.copyfile(roots.tarball("bare", roots.BARE), f"{root}{BARE_TARBALL}")
        done = roots.run_in(root, "sh", "-euc", OLDER_IN_A_REPOSITORY, "sh", PACKAGE, REPOSITORY)
        assert done.returncode == 0, done.stdout
        done = roots.run_in(root, *PIUPARTS, network=True)
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-80:])
    for passed in ("Installation and purging test", "Installation, upgrade and purging tests"):
        assert f"PASS: {passed}" in done.stdout
