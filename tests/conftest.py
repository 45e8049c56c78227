"""Fixtures that every test may use: a private place, and the real daemon in one."""

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.system import host, place
from tests.system import people as accounts
from tests.system.people import People
from tools.daemon import Daemon
from tools.sandbox import Sandbox

DaemonFactory = Callable[..., Daemon]

# How long an example takes tells of the machine's load, and whoever looks at a failure must see the
# same one. `--hypothesis-profile=default` tries other examples each time.
settings.register_profile(
    "tests", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

HOST_SECONDS = 900  # for a test that boots hosts, and may have to make their roots first


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="also run the tests marked very_slow")


def pytest_configure() -> None:
    """What a shell runs in the background ignores the keys; what tests start must not."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the marks `host` and `very_slow` mean. The hosts come first: the long ones last would
    run alone."""
    why = host.missing()
    for item in items:
        if item.get_closest_marker("very_slow") and not config.getoption("--all"):
            item.add_marker(pytest.mark.skip(reason="takes minutes: only ./dev test --all runs it"))
        if item.get_closest_marker("host"):
            item.add_marker(pytest.mark.root)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(HOST_SECONDS))
            if why:
                item.add_marker(pytest.mark.skip(reason=why))
    items.sort(key=lambda item: item.get_closest_marker("host") is None)


@pytest.fixture(scope="session", autouse=True)
def hangups() -> None:
    """Under nohup, what tests start must heed them, but not who runs the tests: a handler is not
    inherited. Set where xdist starts its workers, it would not reach these."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def copy() -> Iterator[Path]:
    """The project where every user can read it, as the checkout may lie where others can't go."""
    made = place.make()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def people() -> Iterator[People]:
    """Real users of this machine; skips where they can't be made."""
    if why := accounts.obstacle():
        pytest.skip(why)
    accounts.remove_own()
    try:
        yield accounts.create(accounts.admin_group())
    finally:
        accounts.remove_own()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A short private directory under /tmp (tmp_path is too long for a Unix socket)."""
    place = Sandbox.create()
    yield place
    place.remove()


@pytest.fixture
def daemon() -> Iterator[DaemonFactory]:
    """Call it for a running daemon of its own; each one must end well after the test.

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
        one = Daemon(
            sandbox, activated=activated, options=options, env=env, expected_exit=expected_exit
        )
        made.append(one)
        return one.start() if start else one

    try:
        yield start
    finally:
        errors = []
        for one in made:
            try:
                one.stop()
            except AssertionError as error:
                errors.append(str(error))
        for place in own:
            place.remove()
        assert not errors, "\n".join(errors)
