"""No call fails over a restart: callers in a loop while the daemon is restarted, upgraded, killed.

What was counted is printed (`pytest -s`) and recorded as properties of the tests.
"""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.system.hammer import CLI, PROCESSES, Count, hammered, table
from tests.system.host import PACKAGE, Host, new_host
from tests.system.host_trust import SOCKET
from tests.system.site import EMPTY_LIST

SERVICE = "multipassd.service"
ENDED = "the connection to the service ended before it answered"
# In gRPC's words: a call, or a handshake, that a kill broke off.
BROKEN_OFF = re.compile(r"UNAVAILABLE: .*(Socket closed|Connection reset|Broken pipe|ping timeout)")

RESTARTS = 10
RELOADS = 5
KILLS = 50
KILLS_EVERY = 0.4  # seconds
# Callers wait 30 seconds for an answer. Where a start takes longer than the time between two kills
# no call is served during it, so the kills must end, and a daemon start, before they give up.
KILL_SECONDS = 22
KILLS_AT_WORK = 10
HANGS = 2
WATCHDOG_SECONDS = 4  # it is fed at half of that, and may not run for a second on a busy machine

OLD_VERSION = "1.16.2"
OLD_PACKAGE = "/previous.deb"
# The package as built, with a lower version in its control file and in the program.
MAKE_OLD_PACKAGE = f"""
set -e
dpkg-deb -R {PACKAGE} /tmp/previous
sed -i 's/^Version: .*/Version: {OLD_VERSION}/' /tmp/previous/DEBIAN/control
sed -i 's/^VERSION = .*/VERSION = "{OLD_VERSION}"/' \
    /tmp/previous/usr/lib/multipass/protocol/version.py
dpkg-deb --root-owner-group -b /tmp/previous {OLD_PACKAGE}
rm -r /tmp/previous
"""

# With time between for calls to be under way.
RESTART = f"for i in $(seq {RESTARTS}); do systemctl restart multipassd; sleep 0.3; done"
RELOAD = (
    f"for i in $(seq {RELOADS}); do systemctl try-reload-or-restart multipassd; sleep 0.3; done"
)
KILL_IT = "systemctl kill -s KILL --kill-whom=main multipassd"
# Prints how often at the end.
KILL = f"""
end=$(($(date +%s) + {KILL_SECONDS}))
for i in $(seq {KILLS}); do
    {KILL_IT}
    sleep {KILLS_EVERY}
    [ "$(date +%s)" -lt $end ] || break
done
echo "$i"
"""
# A daemon that is killed as often as that is mostly starting: so here it works for a while first.
KILL_AT_WORK = f"""
for i in $(seq {KILLS_AT_WORK}); do
    until systemctl is-active -q multipassd; do sleep 0.1; done
    sleep 0.4
    {KILL_IT}
done
"""
# Waits inside: each entering costs what the callers could have.
UNTIL_RESTARTED = """
until [ "$(systemctl show --value -p NRestarts multipassd)" -gt {} ]; do sleep 0.1; done
"""

# gRPC may begin its next call on the connection that just broke, half a millisecond later: it could
# not send it, so the daemon never had it. That is one call at each end, also where the daemon was
# killed between two calls, with none under way.
UNSENT = "sendmsg: Broken pipe"

Record = Callable[[str, object], None]

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Booted; alice is trusted. Each test leaves it as it was."""
    with new_host() as booted:
        booted.boot()
        assert booted.run("multipass", "list", user="alice").stdout == EMPTY_LIST
        yield booted


def report(record: Record, what: str, counts: dict[str, Count]) -> None:
    print(f"\n{table(what, counts)}")
    for kind, each in counts.items():
        record(f"{what}, {kind}: calls made", each.calls)
        record(f"{what}, {kind}: calls failed", len(each.failed))


def assert_none_failed(counts: dict[str, Count]) -> None:
    for kind, each in counts.items():
        assert each.calls > 0, kind
        assert not each.failed, (kind, each.failed)


def assert_only_broken_off(counts: dict[str, Count], ends: int) -> None:
    """Only calls that were running at an end of the daemon failed, and none was refused."""
    for kind, each in counts.items():
        sent = [said for said in each.failed if UNSENT not in said]
        assert len(sent) <= ends * (PROCESSES if kind == CLI else 1), (kind, each.failed)
        unsent = len(each.failed) - len(sent)
        assert unsent <= (0 if kind == CLI else ends), (kind, each.failed)
        for said in each.failed:
            assert ENDED in said if kind == CLI else BROKEN_OFF.search(said), (kind, each.failed)


def main_pid(host: Host) -> int:
    return int(host.show(SERVICE, "MainPID"))


def inode(host: Host) -> str:
    return host.run("stat", "-c", "%i", SOCKET).stdout


def test_restarts_and_reloads_lose_no_call(host: Host, record_property: Record) -> None:
    listening = inode(host)

    counts = hammered(host, lambda: host.run("sh", "-c", RESTART))
    report(record_property, f"{RESTARTS} restarts", counts)
    assert_none_failed(counts)

    before = main_pid(host)
    counts = hammered(host, lambda: host.run("sh", "-c", RELOAD))
    report(record_property, f"{RELOADS} reloads", counts)
    assert_none_failed(counts)
    assert main_pid(host) == before
    assert inode(host) == listening


def test_an_upgrade_from_the_previous_version_loses_no_call(
    host: Host, record_property: Record
) -> None:
    host.run("sh", "-c", MAKE_OLD_PACKAGE)
    host.run("dpkg", "-i", OLD_PACKAGE)
    assert OLD_VERSION in host.run("multipass", "version", user="alice").stdout
    listening, before = inode(host), main_pid(host)
    counts = hammered(host, lambda: host.run("dpkg", "-i", PACKAGE))
    report(record_property, f"upgrade from {OLD_VERSION}", counts)
    assert_none_failed(counts)
    assert main_pid(host) != before, "the new one serves"
    assert inode(host) == listening
    assert OLD_VERSION not in host.run("multipass", "version", user="alice").stdout


def test_between_unpacking_and_configuring_the_former_version_serves_all_calls(host: Host) -> None:
    """Also such as it had not loaded before: the files of its program are of another version."""
    host.run("dpkg", "-i", OLD_PACKAGE)
    host.run("systemctl", "restart", SERVICE)
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    before = main_pid(host)
    host.run("dpkg", "--unpack", PACKAGE)
    assert "failed" not in host.run("multipass", "networks", user="alice").stdout
    assert "does not exist" in host.run("multipass", "info", "foo", user="alice", code=2).stdout
    assert OLD_VERSION in host.run("multipass", "version", user="alice").stdout
    assert main_pid(host) == before
    host.run("dpkg", "--configure", "-a")
    assert OLD_VERSION not in host.run("multipass", "version", user="alice").stdout


def test_kills_lose_only_what_was_under_way(host: Host, record_property: Record) -> None:
    said: list[str] = []
    counts = hammered(host, lambda: said.append(host.run("sh", "-c", KILL).stdout))
    kills = int(said[0].splitlines()[-1])
    report(record_property, f"{kills} kills, one each {KILLS_EVERY} s", counts)
    assert_only_broken_off(counts, kills)
    assert_in_order(host)
    counts = hammered(host, lambda: host.run("sh", "-c", KILL_AT_WORK, code=None))
    report(record_property, f"{KILLS_AT_WORK} kills of a daemon at work", counts)
    assert_only_broken_off(counts, KILLS_AT_WORK)
    assert_in_order(host)


def test_a_hung_daemon_is_replaced_and_only_what_was_under_way_is_lost(
    host: Host, record_property: Record
) -> None:
    drop_in(host, f"WatchdogSec={WATCHDOG_SECONDS}s")

    def hang() -> None:
        for _ in range(HANGS):
            restarts = int(host.show(SERVICE, "NRestarts"))
            host.run("systemctl", "kill", "-s", "STOP", "--kill-whom=main", "multipassd")
            host.run("sh", "-c", UNTIL_RESTARTED.format(restarts))
            host.run("multipass", "list", user="alice")

    counts = hammered(host, hang)
    report(record_property, f"{HANGS} watchdog time-outs", counts)
    assert_only_broken_off(counts, HANGS)
    journal = host.journal("-o", "cat", "-u", SERVICE)
    assert journal.count("Watchdog timeout") >= HANGS
    assert_in_order(host)
    drop_in(host, "")


def drop_in(host: Host, setting: str) -> None:
    path = "/etc/systemd/system/multipassd.service.d/watchdog.conf"
    host.run("install", "-D", "/dev/stdin", path, given=f"[Service]\n{setting}\n")
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "restart", "multipassd")


def assert_in_order(host: Host) -> None:
    """The socket stayed, no limit was hit, and the next caller is served."""
    assert host.show("multipassd.socket", "ActiveState") == "active"
    assert host.run("multipass", "list", user="alice").stdout == EMPTY_LIST
    journal = host.journal("-o", "cat", "-u", "multipassd*")
    assert "start-limit" not in journal
    assert "repeated too quickly" not in journal
