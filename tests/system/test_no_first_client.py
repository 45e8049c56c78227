"""`local.first-client=nobody`: no client is let in by its first call, and root invites others."""

import re

from tests import waiting
from tests.multipassd.admin.trust import Trust
from tests.system.people import ROOT, People
from tests.system.site import DENIED, EMPTY_LIST, ROOT_AUTHENTICATED, Site, first_line

LINE = re.compile(r"multipass authenticate (mpi1-\S+)")
KEY = "local.first-client"
SENTENCE = f"No client is trusted yet, and none becomes the first by itself: {KEY} is 'nobody'.\n"


def line_of(printed: str) -> str:
    found = LINE.search(printed)
    assert found, printed
    return found[1]


def test_no_call_makes_a_first_client_and_the_invited_one_gets_in(
    site: Site, people: People
) -> None:
    trust = Trust(site.sandbox)
    assert "nobody now" in trust.done("first-client", "nobody")
    site.start()
    assert site.mode_and_group()[0] == "666", "who was invited must be able to say so"
    for person in (ROOT, people.alice, people.bob):
        for words in (
            ["list"],
            ["set", "local.passphrase=mine"],
            ["set", f"{KEY}=admin"],
        ):
            done = site.run(person, *words)
            assert done.returncode == 2
            assert first_line(done.stderr) == f"{words[0]} failed: {SENTENCE}"
            assert "sudo multipass invite NAME --role admin" in done.stderr
    assert "none becomes the first" not in trust.done("list") and not site.store.exists()
    assert "local.first-client is 'nobody'" in trust.done("list")
    invited = site.run(ROOT, "invite", "bob", "--role", "admin")
    assert (invited.returncode, invited.stderr) == (0, "")
    assert "Until a first client" not in invited.stdout
    assert site.run(people.bob, "authenticate", line_of(invited.stdout)).returncode == 0
    assert site.run(people.bob, "list").stdout == EMPTY_LIST
    assert site.run(people.bob, "get", "local.first-client").stdout == "nobody\n"
    assert site.run(people.alice, "list").returncode == 2


def test_root_always_gets_in_and_a_viewer_can_be_the_only_client(
    site: Site, people: People
) -> None:
    Trust(site.sandbox).done("first-client", "nobody")
    site.start()
    invited = site.run(ROOT, "invite", "bob")
    assert site.run(people.bob, "authenticate", line_of(invited.stdout)).returncode == 0
    assert site.run(people.bob, "list").stdout == EMPTY_LIST
    assert site.run(people.alice, "list").returncode == 2, "none is adopted beside a viewer"
    assert site.run(ROOT, "authenticate").stdout == ROOT_AUTHENTICATED
    assert site.run(ROOT, "revoke", "root", "--force").returncode == 0
    assert site.run(people.bob, "list").stdout == EMPTY_LIST


def test_the_rule_can_change_while_the_service_runs_and_settings_that_are_none_adopt_none(
    site: Site, people: People
) -> None:
    trust = Trust(site.sandbox)
    site.start()
    trust.done("first-client", "nobody")
    assert first_line(site.run(people.alice, "list").stderr) == f"list failed: {SENTENCE}"
    assert site.mode_and_group()[0] == "666"
    settings = site.sandbox.settings_path
    for text in ("[General]\nlocal.first-client=nobdy\n", "\0", None):
        if text is None:
            settings.unlink()
            break
        settings.write_text(text)
        waiting.until(lambda: site.mode_and_group()[0] == "660")
        assert "settings can't be read" in site.run(people.alice, "list").stderr
        assert DENIED in site.run(people.bob, "list").stderr
        assert not site.store.exists()
    site.enrol_first(people.alice)


def test_before_the_first_client_root_invites_an_admin_as_the_first(
    site: Site, people: People
) -> None:
    site.start()
    refused = site.run(ROOT, "invite", "dave")
    assert refused.returncode == 2 and "--role admin" in refused.stderr
    alice = site.run(people.alice, "invite", "alice", "--role", "admin")
    assert alice.returncode == 2 and "not authenticated" in alice.stderr, "root alone"
    invited = site.run(ROOT, "invite", "dave", "--role", "admin")
    assert "Until a first client is trusted, only root" in invited.stdout
    assert site.mode_and_group()[0] == "660", "as documented: the first client opens it"
    assert DENIED in site.run(people.bob, "authenticate", line_of(invited.stdout)).stderr
    assert site.run(people.dave, "authenticate", line_of(invited.stdout)).returncode == 0
    assert site.mode_and_group()[0] == "666"
    assert site.run(people.dave, "list").stdout == EMPTY_LIST
    assert site.run(people.alice, "list").returncode == 2
