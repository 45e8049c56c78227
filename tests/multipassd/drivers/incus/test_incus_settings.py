"""The settings `local.incus.…`: what they may be, and that a token is used and not kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from multipassd.settings.settings import Settings
from protocol.errors import InvalidSetting

TOKEN = "eyJzZWNyZXQiOiJoaWRkZW4ifQ=="


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "multipassd.conf")


@pytest.mark.parametrize(
    ("key", "value", "stored"),
    [
        ("local.incus.project", "team-a", "team-a"),
        ("local.incus.project", "", "multipass"),
        ("local.incus.type", "container", "container"),
        ("local.incus.type", "", "virtual-machine"),
        ("local.incus.network", "incusbr0", "incusbr0"),
        ("local.incus.pool", "", ""),
        ("local.incus.target", "host-2.example", "host-2.example"),
        ("local.incus.shared", "yes", "true"),
    ],
)
def test_a_value_is_stored_and_an_empty_one_resets_it(
    settings: Settings, key: str, value: str, stored: str
) -> None:
    settings.set(key, value)
    assert settings.get(key) == stored


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("local.incus.project", "a/b"),
        ("local.incus.project", "a?project=default"),
        ("local.incus.type", "vm"),
        ("local.incus.network", "-x"),
        ("local.incus.pool", "x" * 64),
        ("local.incus.target", "m1\x1b[2J"),
        ("local.incus.shared", "perhaps"),
    ],
)
def test_what_is_no_name_at_incus_is_refused(settings: Settings, key: str, value: str) -> None:
    with pytest.raises(InvalidSetting):
        settings.set(key, value)
    assert not settings.path.exists()


def test_a_token_is_never_written_and_never_quoted(settings: Settings) -> None:
    with pytest.raises(InvalidSetting) as refused:
        settings.set("local.incus.token", TOKEN)
    assert TOKEN not in refused.value.message
    assert not settings.path.exists()


def test_a_token_in_the_file_is_not_used(settings: Settings) -> None:
    settings.path.write_text(f"[General]\nlocal.incus.token={TOKEN}\n")
    settings.path.chmod(0o600)
    settings.reload()
    assert settings.get("local.incus.token") == ""
    assert settings.warnings and TOKEN not in settings.warnings[0]
