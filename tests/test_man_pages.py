"""What the manual promises about places is where things are, and it leaves nothing out."""

import re
from pathlib import Path

import pytest

from client import commands
from client.command import Command
from client.settings import DEFAULTS
from multipassd.admin import VERBS
from multipassd.migration import main as migration
from multipassd.system.installation import Installation
from protocol.places import STATE_DIRECTORY
from protocol.places import TRUST_STORE as STORE_IN_DATA
from protocol.settings import DAEMON_KEYS

DOCS = Path(__file__).parent.parent / "docs"
TRUST_STORE = "/var/lib/multipassd/data/authenticated-certs/multipass_client_certs.pem"


def test_the_trust_store_of_the_packaged_service_is_where_administrators_append() -> None:
    data = Installation({"MULTIPASS_STORAGE": STATE_DIRECTORY}).data
    assert f"{data}/{STORE_IN_DATA}" == TRUST_STORE


@pytest.mark.parametrize("page", ["multipassd.8", "multipass-trust.8"])
def test_its_path_stands_in_the_manual(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\-", "-")
    assert f"\n.I {TRUST_STORE}\n" in text


def test_the_line_for_who_is_locked_out_stands_in_the_manual() -> None:
    text = (DOCS / "multipassd.8").read_text(encoding="utf-8").replace("\\-", "-")
    certificate = "~/.local/share/multipass-client-certificate/multipass_cert.pem"
    line = f"cat {certificate} |\n    sudo tee -a {TRUST_STORE} > /dev/null\n"
    assert line in text


def words(page: str) -> set[str]:
    """All that stands in a page, without its formatting."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("\\-", "-")
    return set(re.findall(r"[\w.-]*\w", re.sub(r"\\f[BIRP]|^\.\w+ ", "", text, flags=re.MULTILINE)))


@pytest.mark.parametrize("command", commands.every(), ids=lambda command: command.name)
def test_every_command_stands_in_the_manual_with_its_names_and_options(command: Command) -> None:
    offered = {f"--{option.key}" for option in command.options if not option.hidden and option.text}
    assert {command.name, *command.aliases, *offered} <= words("multipass.1")


def test_every_verb_of_multipass_trust_stands_in_the_manual() -> None:
    assert {verb.name for verb in VERBS} <= words("multipass-trust.8")


def test_every_word_of_multipass_migrate_stands_in_the_manual() -> None:
    program = Path(migration.__file__).read_text(encoding="utf-8")
    offered = set(re.findall(r'"(--[a-z-]+)"', program)) - {"--version"}
    assert len(offered) > 6 and {"list", "take", *offered} <= words("multipass-migrate.8")


def test_every_setting_stands_in_the_manual() -> None:
    assert set(DAEMON_KEYS) <= words("multipassd.conf.5")
    assert set(DEFAULTS) <= words("multipass.1")
