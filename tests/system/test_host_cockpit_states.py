"""The states of the console's page on a real Debian 13: many instances, hostile names, delays,
a damaged store, a service that is down or not there.

One host for all, as its boot and the browser's start take longer than each look.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from multipassd.instances.records.registry import Registry
from protocol.certificates import make_client
from tests.system import console
from tests.system.console import Console
from tests.system.host import Host
from tests.system.host_trust import STORE
from tools import records

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STATE = "/var/lib/multipassd"
CLIENTS = f"{STATE}/data/authenticated-certs/clients.jsonl"
MANY, PEOPLE = 500, 50
HOSTILE = "<img src=x onerror=document.title='hacked'>"
SLOWLY = 6000  # milliseconds: longer than the pause between two questions

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(bool(console.missing()), reason=console.missing()),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with console.new_host() as one:
        write_instances(one)
        one.boot()
        let_people_in(one, tmp_path)
        yield one


def write_instances(host: Host) -> None:
    """On the disk of a host that is off; they are stopped."""
    known = Registry(host.root / f"{STATE}/data/instances"[1:], host.root / f"{STATE}/machines"[1:])
    empty = host.root / "srv/empty.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", empty, "5G"], check=True)
    for number in range(MANY):
        record = records.make(f"vm-{number:03}", number, owner=f"person-{number % PEOPLE:02}")
        place = known.place(record.name)
        place.mkdir(parents=True)
        shutil.copyfile(empty, place / "disk.qcow2")
        (place / "seed.iso").touch()
        known.put(record)


def let_people_in(host: Host, tmp_path: Path) -> None:
    host.run("multipass-trust", "add", "--user", "alice")
    for number in range(PEOPLE):
        pair = make_client()
        words = ("multipass-trust", "add", "--role", "user", "--name", f"person-{number:02}", "-")
        host.run(*words, given=pair.certificate.decode())


def test_the_page_in_its_states(host: Host, tmp_path: Path) -> None:
    shots = console.shots_directory(tmp_path)
    with console.browser(host) as browser:
        with console.session(browser, "alice", shots) as alice:
            it_opens_soon_with_many_instances(alice)
            many_instances_are_filtered(alice)
            narrow_screens_have_a_row_for_each_value(alice)
            the_keyboard_reaches_everything(alice)
            a_refresh_leaves_the_focus_where_it_is(alice)
            what_went_wrong_is_said_where_it_was_asked_for(alice)
            an_admins_own_client_needs_no_root_for_trust(host, alice)
            alice.raise_access("alice")
            the_journal_is_one_click_away(alice)
            names_are_only_ever_text(host, alice)
            slow_answers_leave_what_is_shown_and_are_not_asked_twice(host, alice)
            nothing_is_asked_while_nobody_looks(host, alice)
            a_damaged_store_is_repaired_by_a_button(host, alice)
            a_service_that_is_down_is_started(host, alice)
            what_is_not_installed_is_said(host, alice)
            assert alice.refused == []
        without_our_program_the_page_is_hidden(host, browser, shots)


def it_opens_soon_with_many_instances(page: Console) -> None:
    """The time is printed, and is no assertion: machines are shared."""
    page.row("vm-499").wait_for()
    took = []
    for _ in range(5):
        page.page.goto("about:blank")
        page.open()
        page.row("vm-499").wait_for()
        took.append(page.inner.evaluate("() => performance.getEntriesByName('shown')[0].startTime"))
    shown = ", ".join(f"{each:.0f}" for each in sorted(took))
    print(f"\nopened with {MANY} instances and {PEOPLE} clients in {shown} ms")


def many_instances_are_filtered(page: Console) -> None:
    page.says(f"{MANY} instances")
    page.frame.get_by_label("Filter the instances").fill("person-07 stopped")
    page.says(f"{MANY // PEOPLE} of {MANY} instances")
    page.is_accessible()  # here, as looking at 500 rows takes long
    page.frame.get_by_label("Filter the instances").fill("nothing of that name")
    page.says("No instance fits the filter")
    page.shot("no-match")
    page.frame.get_by_label("Filter the instances").fill("")
    page.says(f"{MANY} instances")
    page.shot("many")


def narrow_screens_have_a_row_for_each_value(page: Console) -> None:
    page.page.set_viewport_size(console.NARROW)
    page.row("vm-000").wait_for()
    width = page.inner.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, f"{width} pixels wider than the screen"
    page.shot("narrow")
    page.page.set_viewport_size(console.WIDE)


def the_keyboard_reaches_everything(page: Console) -> None:
    page.frame.get_by_role("tab", name="Instances").focus()
    page.page.keyboard.press("ArrowRight")
    page.frame.get_by_role("tab", name="Trust", selected=True).wait_for()
    page.page.keyboard.press("ArrowLeft")
    page.row("vm-000").get_by_role("button", name="Details of vm-000").focus()
    page.page.keyboard.press("Enter")
    page.says("It has no snapshots")
    page.page.keyboard.press("Enter")
    page.says("It has no snapshots", gone=True)
    page.frame.get_by_role("button", name="Launch an instance").first.focus()
    page.page.keyboard.press("Enter")
    page.dialog("Launch an instance").wait_for()
    page.page.keyboard.press("Escape")
    page.dialog("Launch an instance").wait_for(state="detached")
    focused = page.inner.evaluate("() => document.activeElement?.textContent")
    assert focused == "Launch an instance", "the focus comes back to where it was"


COUNT_CALLS = """() => {
    const spawn = cockpit.spawn;
    window.calls = 0;
    cockpit.spawn = (...words) => { window.calls += 1; return spawn(...words); };
}"""


def a_refresh_leaves_the_focus_where_it_is(page: Console) -> None:
    page.row("vm-001").get_by_role("button", name="Details of vm-001").focus()
    page.inner.evaluate(COUNT_CALLS)
    page.inner.wait_for_function("() => window.calls >= 4")  # two a refresh
    focused = page.inner.evaluate("() => document.activeElement?.getAttribute('aria-label')")
    assert focused == "Details of vm-001"


def what_went_wrong_is_said_where_it_was_asked_for(page: Console) -> None:
    page.frame.get_by_role("button", name="Launch an instance").first.click()
    dialog = page.dialog("Launch an instance")
    page.fill("launch-image", "file:///srv/none.img")
    dialog.get_by_role("button", name="Launch").click()
    dialog.get_by_text("does not exist").first.wait_for()
    page.shot("launch-failed")
    page.is_accessible()
    page.confirm("Launch an instance", "Cancel")


def the_journal_is_one_click_away(page: Console) -> None:
    page.click("Journal")
    page.page.frame_locator("iframe[name='cockpit1:localhost/system/logs']").get_by_text(
        "multipassd"
    ).first.wait_for()
    page.page.get_by_role("link", name="Multipass").click()
    page.row("vm-000").wait_for()


def an_admins_own_client_needs_no_root_for_trust(host: Host, page: Console) -> None:
    page.tab("Trust")
    page.frame.get_by_label("Filter the clients").fill("person-07")
    page.client("person-08").wait_for(state="detached")
    page.client("person-07").get_by_text("instances 10 of 10").wait_for()
    page.frame.get_by_label("Filter the clients").fill("")
    page.client("person-07").get_by_role("button", name="Change role of person-07").click()
    page.frame.locator("#grant-role").select_option("viewer")
    page.confirm("Change the role of person-07", "Change role")
    page.client("person-07").get_by_text("viewer", exact=True).wait_for()
    page.says("Shown with administrative access.")
    page.shot("trust-limited")
    page.client("person-08").get_by_role("button", name="Revoke person-08").click()
    dialog = page.dialog("Revoke person-08?")
    dialog.get_by_text("These instances stay, and only admins can use them: vm-008").wait_for()
    page.confirm("Revoke person-08?", "Revoke")
    page.client("person-08").wait_for(state="detached")
    page.tab("Instances")
    page.row("vm-000").wait_for()


def names_are_only_ever_text(host: Host, page: Console) -> None:
    text = host.run("cat", CLIENTS).stdout
    host.run(
        "tee", CLIENTS, given=re.sub(r'"how": ?"multipass-trust"', f'"how": "{HOSTILE}"', text)
    )
    page.tab("Trust")
    page.says(HOSTILE)
    assert page.frame.locator("img").count() == 0
    assert page.inner.evaluate("() => document.title") == "Multipass"
    page.shot("hostile")
    page.tab("Instances")


def slow_answers_leave_what_is_shown_and_are_not_asked_twice(host: Host, page: Console) -> None:
    host.run("systemctl", "kill", "--signal=STOP", "multipassd.service")
    page.page.wait_for_timeout(SLOWLY * 2)
    assert asking(host) == 1
    page.row("vm-000").wait_for()
    page.shot("slow")
    host.run("systemctl", "kill", "--signal=CONT", "multipassd.service")
    page.row("vm-000").wait_for()


def asking(host: Host) -> int:
    said = host.run("pgrep", "-fc", "multipass info .*--no-runtime", code=None).stdout
    return int(said)


def nothing_is_asked_while_nobody_looks(host: Host, page: Console) -> None:
    """Another page of the console is in front; ours is only hidden."""
    page.page.get_by_role("link", name="Overview").click()
    page.page.frame_locator("iframe[name='cockpit1:localhost/system']").locator("body").wait_for()
    page.page.wait_for_timeout(SLOWLY)
    page.inner.evaluate(COUNT_CALLS)
    page.page.wait_for_timeout(SLOWLY * 2)
    assert page.inner.evaluate("() => window.calls") == 0
    page.page.get_by_role("link", name="Multipass").click()
    page.row("vm-000").wait_for()
    page.inner.wait_for_function("() => window.calls > 0")


def a_damaged_store_is_repaired_by_a_button(host: Host, page: Console) -> None:
    host.run("chmod", "666", STORE)
    page.says("The list of trusted clients is damaged")
    page.shot("damaged")
    page.is_accessible()
    page.tab("Trust")
    page.says("The trusted clients can't be listed")
    page.click("Show findings")
    page.click("Check again")
    page.frame.get_by_role("button", name=re.compile("Repair it now")).wait_for()
    page.shot("damaged-findings")
    page.click(re.compile("Repair it now: .*check --repair"))
    page.frame.get_by_role("button", name=re.compile("Repair it now")).wait_for(state="detached")
    assert host.run("stat", "-c", "%a", STORE).stdout == "600\n"
    page.tab("Instances")
    page.row("vm-000").wait_for()


def a_service_that_is_down_is_started(host: Host, page: Console) -> None:
    page.click("Stop")
    page.confirm("Stop the service?", "Stop")
    page.says("The service does not run")
    page.shot("down")
    page.is_accessible()
    assert host.show("multipassd.socket", "ActiveState") == "inactive"
    page.click("Start the service")
    page.row("vm-000").wait_for()
    assert host.show("multipassd.socket", "ActiveState") == "active"


def what_is_not_installed_is_said(host: Host, page: Console) -> None:
    host.run("mv", "/usr/bin/multipass", "/usr/bin/multipass.away")
    page.says("Multipass is not installed")
    page.shot("absent")
    host.run("mv", "/usr/bin/multipass.away", "/usr/bin/multipass")
    page.row("vm-000").wait_for()


def without_our_program_the_page_is_hidden(host: Host, browser: Browser, shots: Path) -> None:
    host.run("mv", "/usr/sbin/multipass-trust", "/usr/sbin/multipass-trust.away")
    with console.login(browser, "dave", shots) as dave:
        dave.page.get_by_role("link", name="Services").wait_for()
        assert not dave.page.get_by_role("link", name="Multipass").count()
