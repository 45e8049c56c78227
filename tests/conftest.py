"""Fixtures for all tests: a sandbox, and the real daemon in one."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import order
from tests.system import host, place
from tests.system import people as accounts
from tests.system.host import Host
from tests.system.people import People
from tools import roots
from tools.daemon import Daemon
from tools.sandbox import Sandbox

DaemonFactory = Callable[..., Daemon]

# No deadline, as an example's duration depends on the machine's load; and the same examples each
# time, so that a failure can be reproduced. `--hypothesis-profile=default` tries others.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

HOST_SECONDS = 900  # for a test that boots hosts, and may have to make their roots first
QEMU = "qemu-system-x86_64"
# A fixture of this name needs what the mark says, so each test that uses it has the mark.
MARK_OF_FIXTURE = {"people": "root", "small_disk": "root", "qemu": "qemu", "incus_base": "host"}
SLOW = frozenset((Path(__file__).parent / "slow.txt").read_text("utf-8").splitlines())
NOT_FAST = {"host", "root", "qemu", "slow", "very_slow", "linter"}  # what --fast leaves out


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run the tests marked very_slow")
    help_text = "only what needs neither root, containers nor QEMU, is quick, and is no linter"
    parser.addoption("--fast", action="store_true", help=help_text)


def pytest_configure(config: pytest.Config) -> None:
    """A shell starts background jobs with the keyboard's signals ignored; programs that tests
    start must not inherit that."""
    if config.getoption("--fast"):
        config.pluginmanager.register(Fast())
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the marks mean, and `--fast`; and the order that keeps all workers busy."""
    why = host.missing()
    for item in items:
        for fixture in MARK_OF_FIXTURE.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARK_OF_FIXTURE[fixture])
        if item.nodeid.partition("[")[0] in SLOW:
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("root") and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root"))
        if item.get_closest_marker("very_slow") and not config.getoption("--all"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: only ./dev test --all runs it"))
        if item.get_closest_marker("host"):
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.timeout(HOST_SECONDS))
            if why:
                item.add_marker(pytest.mark.skip(reason=why))
    workers = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    seconds = order.seconds_of_modules(order.LIST.read_text("utf-8"))
    items[:] = order.spread(items, _module, seconds, workers)


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def pytest_collection_finish() -> None:
    """Thousands of collected tests stay until the end: no garbage collection need look at them."""
    gc.collect()
    gc.freeze()


class Fast:
    """The option `--fast`: a plugin, so that it runs after each directory has set its marks."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        chosen: list[pytest.Item] = []
        left_out: list[pytest.Item] = []
        for item in items:
            marks = {mark.name for mark in item.iter_markers()}
            (left_out if marks & NOT_FAST else chosen).append(item)
        config.hook.pytest_deselected(items=left_out)
        items[:] = chosen


@pytest.fixture(scope="session", autouse=True)
def hangups() -> None:
    """Under nohup, programs that tests start must handle SIGHUP, but pytest must ignore it: a
    handler is not inherited. One set before xdist starts its workers would not be in them."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def qemu() -> None:
    """Skips where QEMU is missing."""
    if shutil.which(QEMU) is None:
        pytest.skip(f"needs {QEMU}")


@pytest.fixture(scope="session")
def copy() -> Iterator[Path]:
    """A copy of the project that every user can read, as the checkout may not be readable."""
    made = place.make()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    """Real users of this machine; skips if they can't be created."""
    if why := accounts.obstacle():
        pytest.skip(why)
    accounts.remove_own()
    try:
        yield accounts.create(accounts.admin_group())
    finally:
        accounts.remove_own()


@pytest.fixture(scope="session")
def incus_base() -> Iterator[Host]:
    """For `tests.system.incus_cluster.cluster`; skips if no root of a member can be made."""
    from tests.system import incus_cluster

    try:
        made = incus_cluster.incus_base()
        with made as base:
            yield base
    except roots.RootError as error:
        pytest.skip(f"a host with Incus can't be made here: {error}")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A short private directory under /tmp (tmp_path is too long for a Unix socket)."""
    place = Sandbox.create()
    yield place
    place.remove()


@pytest.fixture
def daemon() -> Iterator[DaemonFactory]:
    """A function that starts a daemon in a sandbox; each must end well after the test.

    ``daemon(activated=False, options=(), env=None, expected_exit=0, start=True, sandbox=None)``
    """
    made: list[Daemon] = []
    own: list[Sandbox] = []

    def start(
        *,
        activated: bool = False,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        expected_exit: int = 0,
        start: bool = True,
        sandbox: Sandbox | None = None,
    ) -> Daemon:
        if sandbox is None:
            sandbox = Sandbox.create()
            own.append(sandbox)
        running = Daemon(
            sandbox, activated=activated, options=options, env=env, expected_exit=expected_exit
        )
        made.append(running)
        return running.start() if start else running

    try:
        yield start
    finally:
        errors = []
        for each in made:
            try:
                each.stop()
            except AssertionError as error:
                errors.append(str(error))
        for place in own:
            place.remove()
        assert not errors, "\n".join(errors)
