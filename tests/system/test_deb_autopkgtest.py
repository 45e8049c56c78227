"""The package before Debian's own tools: debian/tests by autopkgtest, and lintian."""

from pathlib import Path

import pytest

from tests.system.host import PACKAGE, PAGE_PACKAGE, Host
from tools import deb, roots

SOURCE = "/multipass-source"
# autopkgtest sees neither a container nor a way to reset it: this host is thrown away.
COMMAND = (
    "autopkgtest", "--no-built-binaries", SOURCE, PACKAGE, PAGE_PACKAGE,
    "--ignore-restrictions=isolation-container,breaks-testbed", "--", "null",
)  # fmt: skip
NO_TEST_FAILED = 0  # 2: something was skipped, 4: failed, 8: there was no test

pytestmark = pytest.mark.host


def test_lintian_has_nothing_to_say_about_source_and_package(tmp_path: Path) -> None:
    deb.build(tmp_path, lint=True, work_in_progress=True)
    for name in ("multipass_*.dsc", "multipass_*_all.deb", "cockpit-multipass_*_all.deb"):
        assert list(tmp_path.glob(name)), name


def test_the_package_passes_its_own_tests() -> None:
    with roots.unpacked(roots.tarball("package-test", roots.PACKAGE_TEST)) as root:
        deb.copy_source(root / SOURCE[1:])
        (root / PACKAGE[1:]).write_bytes(deb.kept().read_bytes())
        (root / PAGE_PACKAGE[1:]).write_bytes(deb.kept_page().read_bytes())
        host = Host(root)
        try:
            host.boot()
            said = host.run(*COMMAND, code=NO_TEST_FAILED).stdout
        finally:
            host.stop()
            host.console.unlink(missing_ok=True)
    assert "first-day            PASS" in said
    assert "page                 PASS" in said
