"""The page of the web console on a real Debian 13: real logins, a real browser, real instances.

One test, as each step stands on the one before and booting host, browser and guest takes a minute.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import console
from tests.system.console import Console
from tests.system.host import Host
from tests.system.host_trust import records, socket_mode
from tools import cloudimage

IMAGE = "/srv/tiny.qcow2"
TINY = {"name": "foo", "memory": "160M", "disk": "1G", "image": f"file://{IMAGE}"}
PASSPHRASE = "correct <b>horse</b>"

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(bool(console.missing()), reason=console.missing()),
]


@pytest.fixture
def host() -> Iterator[Host]:
    with console.new_host() as one:
        shutil.copyfile(cloudimage.kept(), f"{one.root}{IMAGE}")
        (one.root / IMAGE[1:]).chmod(0o644)
        one.boot()
        yield one


def test_an_administrator_needs_nothing_but_the_page(host: Host, tmp_path: Path) -> None:
    shots = console.shots_directory(tmp_path)
    with console.browser(host) as browser:
        with console.session(browser, "alice", shots) as alice:
            looking_enrols_no_client(host, alice)
            with_limited_access_nothing_of_roots_is_offered(alice)
            alice.raise_access("alice")
            alice_lets_herself_in(host, alice)
            a_launch_is_followed_until_the_instance_runs(alice)
            a_command_is_typed_in_its_terminal(host, alice)
            deeds_on_it_are_done_and_what_ends_is_asked_first(host, alice)
            snapshots_are_taken_and_restored(host, alice)
            bob_is_invited_and_revoked_and_notices_at_once(host, alice)
            the_passphrase_is_set_and_cleared(host, alice)
            tcp_is_switched_on_and_off(host, alice)
            a_lockout_is_repaired(host, alice)
            what_was_done_is_on_record(host, alice)
            assert alice.refused == [], "the page's security policy stopped something of its own"
        with console.session(browser, "bob", shots) as bob:
            a_user_without_sudo_gets_in_by_the_passphrase(host, bob)


def looking_enrols_no_client(host: Host, page: Console) -> None:
    page.says("The service does not trust you yet")
    assert socket_mode(host) == "root:sudo 660"
    assert records(host, "granted") == []
    page.shot("untrusted-limited")


def with_limited_access_nothing_of_roots_is_offered(page: Console) -> None:
    assert not page.frame.get_by_role("button", name="Stop").count()
    for tab, sentence in (
        ("Trust", "Trust is for admins|not authenticated"),
        ("Findings", "Findings need administrative access"),
        ("Activity", "Activity needs administrative access"),
    ):
        page.tab(tab)
        page.says(re.compile(sentence))
        page.is_accessible()
    page.shot("limited")
    page.tab("Instances")


def alice_lets_herself_in(host: Host, page: Console) -> None:
    page.says("The service does not trust you yet")
    page.shot("untrusted-raised")
    page.click("Let alice in")
    page.says("There are no instances")
    (granted,) = records(host, "granted")
    uid = host.run("id", "-u", "alice").stdout.strip()
    assert granted["MULTIPASS_NAME"] == "alice" and granted["MULTIPASS_UID"] == uid
    page.shot("empty")
    page.is_accessible()


def a_launch_is_followed_until_the_instance_runs(page: Console) -> None:
    page.frame.get_by_role("button", name="Launch an instance").first.click()
    dialog = page.dialog("Launch an instance")
    page.fill("launch-memory", "7")
    dialog.get_by_role("button", name="Launch").click()
    page.says("A size such as 1G or 512M")
    page.is_accessible()
    page.shot("launch-form")
    for name, value in TINY.items():
        page.fill(f"launch-{name}", value)
    dialog.get_by_role("button", name="Launch").click()
    page.says(re.compile("Starting foo|Waiting for init|Preparing image"))
    page.shot("launch-progress")
    dialog.wait_for(state="detached")
    page.row("foo").get_by_text("Running").wait_for()
    page.row("foo").get_by_role("progressbar", name="Memory of foo").wait_for()
    page.row("foo").get_by_text("alice", exact=True).wait_for()
    page.shot("instances")
    page.is_accessible()


def a_command_is_typed_in_its_terminal(host: Host, page: Console) -> None:
    page.row("foo").get_by_role("button", name="Terminal").click()
    terminal = page.frame.locator(".page-terminal")
    terminal.locator(".xterm-accessibility").get_by_text("$").first.wait_for()
    page.page.keyboard.type("echo by-hand > typed; echo $((40+2))-seen\n")
    terminal.locator(".xterm-accessibility").get_by_text("42-seen").first.wait_for()
    page.shot("terminal")
    page.dialog("Terminal in foo").get_by_role("button", name="Close").click()
    said = host.run("multipass", "exec", "foo", "--", "cat", "typed", user="alice").stdout
    assert said == "by-hand\n"


def deeds_on_it_are_done_and_what_ends_is_asked_first(host: Host, page: Console) -> None:
    page.row("foo").get_by_role("button", name="Stop").click()
    page.dialog("Stop foo?").get_by_text("Programs in it end").wait_for()
    page.shot("stop-question")
    page.confirm("Stop foo?", "Cancel")
    page.row("foo").get_by_text("Running").wait_for()
    page.row("foo").get_by_role("button", name="Stop").click()
    page.confirm("Stop foo?", "Stop")
    page.row("foo").get_by_text("Stopped").wait_for()


def snapshots_are_taken_and_restored(host: Host, page: Console) -> None:
    page.row("foo").get_by_role("button", name="Snapshot").click()
    page.fill("snapshot-name", "first")
    page.fill("snapshot-comment", "<i>before</i>")
    page.confirm("Take a snapshot of foo", "Take a snapshot")
    details = page.frame.locator("[data-details=foo]")
    details.get_by_text("<i>before</i>").wait_for()
    page.shot("snapshots")
    page.is_accessible()
    details.get_by_role("button", name="Restore foo to first").click()
    page.confirm("Restore foo to first?", "Restore")
    details.get_by_role("button", name="Delete: foo").click()
    page.confirm("Delete foo?", "Delete")
    page.row("foo").get_by_text("Deleted").wait_for()
    page.row("foo").get_by_role("button", name="Recover").click()
    page.row("foo").get_by_text("Stopped").wait_for()
    page.row("foo").get_by_role("button", name="Details of foo").click()


def bob_is_invited_and_revoked_and_notices_at_once(host: Host, page: Console) -> None:
    page.tab("Trust")
    page.click("Invite a person")
    page.fill("invite-name", "Bob")
    page.dialog("Invite a person").get_by_role("button", name="Invite").click()
    page.says("1 to 32 lower-case letters")
    page.fill("invite-name", "bob")
    page.frame.locator("#invite-role").select_option("user")
    page.dialog("Invite a person").get_by_role("button", name="Invite").click()
    shown = page.dialog("Invitation of bob")
    line = shown.locator("code").first.inner_text()
    shown.get_by_role("button", name="Copy the command for this machine").click()
    shown.get_by_text("Copied").wait_for()
    assert page.page.evaluate("() => navigator.clipboard.readText()") == line
    page.shot("invitation")
    page.is_accessible()
    shown.get_by_role("button", name="Close").click()
    assert line.startswith("multipass authenticate mpi1-")
    page.client("bob").get_by_text("invited", exact=True).wait_for()
    host.run(*line.split(), user="bob")
    assert host.run("multipass", "list", user="bob").stdout == "No instances found.\n"
    page.client("bob").get_by_role("button", name="Change role of bob").click()
    page.frame.locator("#grant-role").select_option("viewer")
    page.confirm("Change the role of bob", "Change role")
    page.client("bob").get_by_text("viewer").wait_for()
    page.shot("trust")
    page.is_accessible()
    page.client("bob").get_by_role("button", name="Revoke bob").click()
    page.dialog("Revoke bob?").get_by_text("1 client of bob can't connect any more").wait_for()
    page.shot("revoke-question")
    page.confirm("Revoke bob?", "Revoke")
    page.client("bob").wait_for(state="detached")
    said = host.run("multipass", "list", user="bob", code=2).stdout
    assert "not authenticated with the Multipass service" in said


def the_passphrase_is_set_and_cleared(host: Host, page: Console) -> None:
    page.click("Set the passphrase")
    page.fill("passphrase", PASSPHRASE)
    page.fill("passphrase-again", "another")
    page.dialog("Set the passphrase").get_by_role("button", name="Set").click()
    page.says("This is another one.")
    page.fill("passphrase-again", PASSPHRASE)
    page.confirm("Set the passphrase", "Set")
    page.frame.get_by_role("button", name="Change the passphrase").wait_for()
    assert PASSPHRASE not in host.journal()
    host.run("multipass", "authenticate", PASSPHRASE, user="carol")
    page.client("carol").wait_for()
    page.click("Clear the passphrase")
    page.confirm("Clear the passphrase?", "Clear")
    page.frame.get_by_role("button", name="Set the passphrase").wait_for()


def tcp_is_switched_on_and_off(host: Host, page: Console) -> None:
    page.click("Switch on TCP")
    page.confirm("Have the service listen on TCP", "Switch on")
    page.frame.get_by_role("button", name="Switch TCP off").wait_for()
    assert host.show("multipassd-tcp.socket", "ActiveState") == "active"
    page.shot("tcp")
    page.click("Switch TCP off")
    page.confirm("Switch TCP off?", "Switch off")
    page.frame.get_by_role("button", name="Switch on TCP").wait_for()
    assert host.show("multipassd-tcp.socket", "ActiveState") == "inactive"


def a_lockout_is_repaired(host: Host, page: Console) -> None:
    """By what another administrator did in a terminal; from the page alone."""
    host.run("multipass-trust", "remove", "alice")
    page.tab("Instances")
    page.says("The service does not trust you yet")
    page.tab("Findings")
    page.click("Check again")
    page.says("Alice is locked out")
    page.shot("lockout")
    page.tab("Trust")  # root's program does what no client of alice's may do now
    page.client("carol").get_by_role("button", name="Change role of carol").click()
    page.frame.locator("#grant-role").select_option("viewer")
    page.dialog("Change the role of carol").get_by_role("button", name="Change role").click()
    page.dialog("Change the role of carol").get_by_text("no admin would be left").wait_for()
    page.confirm("Change the role of carol", "Cancel")
    page.tab("Findings")
    page.is_accessible()
    page.click(re.compile("Repair it now: .*add --user alice"))
    page.says("Alice is locked out", gone=True)
    page.tab("Instances")
    page.row("foo").wait_for()


def what_was_done_is_on_record(host: Host, page: Console) -> None:
    page.tab("Activity")
    page.frame.get_by_role("cell", name="launch").first.wait_for()
    page.shot("activity")
    page.is_accessible()
    page.frame.get_by_placeholder("Client").fill("carol")
    page.frame.get_by_placeholder("Client").press("Enter")
    page.frame.get_by_role("cell", name="launch").first.wait_for(state="detached")
    page.frame.get_by_role("cell", name="carol").first.wait_for()


def a_user_without_sudo_gets_in_by_the_passphrase(host: Host, page: Console) -> None:
    page.says("The service does not trust you yet")
    assert not page.frame.get_by_role("button", name="Let bob in").count()
    host.run("multipass", "set", "local.passphrase", user="alice", given=f"{PASSPHRASE}\n")
    page.click("Enter a passphrase or an invitation")
    page.fill("secret", "a wrong one")
    page.dialog("Let yourself in").get_by_role("button", name="Authenticate").click()
    page.dialog("Let yourself in").get_by_text("Passphrase is not correct").wait_for()
    page.shot("authenticate")
    page.fill("secret", PASSPHRASE)
    page.confirm("Let yourself in", "Authenticate")
    page.says(re.compile("There are no instances|foo"))
    page.shot("bob")
