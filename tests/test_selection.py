"""`./dev test --fast` leaves out what needs root, containers or QEMU, and the linters."""

import re
import subprocess
import sys

from tools import slow_tests
from tools.sandbox import CHECKOUT

LEFT_OUT = (
    "tests/instances",
    "tests/packaging/test_snap_removal.py",
    "tests/system/test_host_idle.py",
    "tests/system/test_disk.py",
    "tests/multipassd/network/test_bridge.py",
    "tests/multipassd/drivers/qemu/test_driver.py",
    "tests/test_linters.py",
)
SLOW = CHECKOUT / "tests/slow.txt"
MIXED = "tests/test_tools.py"


def test_fast_leaves_out_what_needs_more_than_this_checkout() -> None:
    options = ("--collect-only", "-q", "-n", "0", "--fast")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *LEFT_OUT, MIXED],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    tests = [line for line in done.stdout.splitlines() if "::" in line]
    assert f"{MIXED}::test_socket_path_of_a_sandbox_is_short" in tests, done
    assert all(test.startswith(MIXED) for test in tests)
    assert not any("test_commands_run_in_a_root_alone" in test for test in tests), "it needs root"


def test_each_slow_test_is_one_that_exists() -> None:
    """A test that was renamed is measured again, or its line is renamed, too."""
    for line in SLOW.read_text("utf-8").splitlines()[1:]:
        path, _, name = line.partition("::")
        definition = rf"^ *(?:async )?def {name.rpartition('::')[2]}\("
        assert re.search(definition, (CHECKOUT / path).read_text("utf-8"), re.MULTILINE), line


def test_a_test_is_slow_by_its_slowest_parameter_with_set_up_and_teardown() -> None:
    report = [
        "1.50s setup    tests/a.py::test_slow[one two]\n",
        "0.50s call     tests/a.py::test_slow[one two]\n",
        "0.10s call     tests/a.py::test_slow[three]\n",
        "1.20s call     tests/a.py::test_quick[one]\n",
        "1.20s call     tests/a.py::test_quick[two]\n",
        "1 passed in 3s\n",
    ]
    assert slow_tests.slow_tests(report) == ["tests/a.py::test_slow"]
