"""`./dev test --fast` leaves out what needs root, containers or QEMU, and the linters; a whole run
begins with what takes long, shared among the workers."""

import re
import subprocess
import sys

import pytest

from tests import order
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


def test_the_seconds_of_a_module_are_those_of_all_its_tests() -> None:
    report = [
        "20.50s setup    tests/a.py::test_one[x]\n",
        "0.50s call     tests/b.py::test_two\n",
        "9.00s call     tests/c.py::test_three\n",
        "30.00s teardown tests/a.py::TestIt::test_four\n",
    ]
    assert slow_tests.long_modules(report) == ["50 tests/a.py", "9 tests/c.py"]


def test_each_long_module_exists() -> None:
    for module in order.seconds_of_modules(order.LIST.read_text("utf-8")):
        assert (CHECKOUT / module).exists(), module


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_each_workers_part_begins_with_its_share_of_the_long_modules_as_wholes(
    workers: int,
) -> None:
    seconds = {"a": 50.0, "b": 30.0, "c": 20.0, "d": 10.0}
    quick = [f"q{number}" for number in range(50)]
    items = sorted([f"{module}{number}" for module in seconds for number in range(3)] + quick)
    ordered = order.spread(items, lambda item: item[0], seconds, workers)
    assert sorted(ordered) == items
    taken = []
    for number in range(workers):  # as worksteal cuts
        part = ordered[: len(ordered) // (workers - number)]
        ordered = ordered[len(part) :]
        modules = [item[0] for item in part]
        long = sum(module in seconds for module in modules)
        assert "q" not in modules[:long]
        assert all(modules.count(module) == 3 for module in modules[:long])
        taken.append(sum(seconds[module] for module in set(modules[:long])))
    assert max(taken) - min(taken) <= max(seconds.values())


def test_nothing_is_lost_where_long_modules_alone_are_run() -> None:
    items = ["a1", "b1", "b2", "b3"]
    assert sorted(order.spread(items, lambda item: item[0], {"a": 9.0, "b": 8.0}, 3)) == items
