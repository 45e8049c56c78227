"""`--format json` of multipass-trust: what a page or a script needs, as documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from multipassd.admin import VERBS
from tests.conftest import DaemonFactory
from tests.multipassd.admin.trust import Trust, client


def document(trust: Trust, verb: str, *words: str, code: int = 0) -> dict[str, Any]:
    done = trust.run(verb, *words, "--format", "json")
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def error(trust: Trust, verb: str, *words: str) -> dict[str, str]:
    done = trust.run(verb, *words, "--format", "json")
    assert done.returncode == 1, done.stdout
    found = json.loads(done.stderr.splitlines()[-1])["error"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_has_the_form_for_programs(trust: Trust, verb: Any) -> None:
    assert "json" in trust.done(verb.name, "--help")


def test_an_invitation_is_a_document_with_the_command_to_pass_on(trust: Trust) -> None:
    made = document(trust, "invite", "bob", "--role", "admin")
    assert made["command"] == f"multipass authenticate {made['line']}"
    assert (made["name"], made["role"], made["remote_command"]) == ("bob", "admin", None)
    assert made["expires"] > 1_700_000_000
    assert "only root and the admin group" in made["note"]
    (waiting,) = document(trust, "list")["invitations"]
    assert waiting["name"] == "bob"


def test_what_a_verb_prints_is_a_list_of_lines(trust: Trust) -> None:
    pair, who = client()
    path = trust.put(trust.sandbox.root / "a.pem", pair)
    said = document(trust, "add", "--name", "bob", str(path))["said"]
    assert len(said) == 1 and said[0].startswith(f"{who[:16]} (bob) is trusted now")
    listed = document(trust, "list")
    assert (listed["state"], listed["passphrase"]) == ("trusting", False)
    assert document(trust, "remove", "bob")["said"][0].endswith("is no longer trusted.")
    assert document(trust, "list")["state"] == "empty"


def test_an_error_says_the_problem_the_next_step_and_its_kind(trust: Trust) -> None:
    pair, _ = client()
    document(trust, "add", "--name", "bob", str(trust.put(trust.sandbox.root / "a.pem", pair)))
    assert "No trusted client" in error(trust, "remove", "carol")["problem"]
    trust.store.chmod(0o666)
    damaged = error(trust, "list")
    assert damaged["kind"] == "damaged" and "can't be listed" in damaged["problem"]
    assert damaged["next"].startswith("`sudo multipass-trust check --repair`")
    assert error(trust, "invite", "bob")["kind"] == "damaged"


def test_a_finding_names_the_command_that_repairs_it_and_that_repairs_it(
    trust: Trust, daemon: DaemonFactory
) -> None:
    daemon(sandbox=trust.sandbox)
    pair, _ = client()
    trust.done("add", "--name", "bob", trust.put(trust.sandbox.root / "a.pem", pair))
    trust.store.chmod(0o666)
    checked = document(trust, "check", code=1)
    assert checked["problems"] == 1 and checked["said"] == []
    (problem,) = [each for each in checked["findings"] if each["level"] == "problem"]
    assert problem["command"] == ["multipass-trust", "check", "--repair"]
    assert "`sudo multipass-trust check --repair`" in problem["next"]
    repaired = document(trust, "check", "--repair")
    assert repaired["problems"] == 0
    assert repaired["said"] == [f"Put owner and mode of {trust.store} right."]


def test_what_is_not_safe_has_no_command(trust: Trust) -> None:
    trust.data.mkdir(parents=True, exist_ok=True)
    trust.data.chmod(0o777)
    checked = document(trust, "check", code=1)
    (loose,) = [each for each in checked["findings"] if "others may write" in each["text"]]
    assert loose["command"] == [] and "chmod go-w" in loose["next"]


def test_the_journals_records_and_errors_have_the_form_too(trust: Trust) -> None:
    done = trust.run("log", "--format", "json", "--since", "never")
    assert json.loads(done.stderr)["error"]["problem"].startswith("'never' is no point in time")
