"""What is read from words and files without asking the service."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.arguments import networks, time_zone
from client.errors import UsageError
from client.guests import quoting
from protocol.messages.launch import LaunchRequest

Options = LaunchRequest.NetworkOptions


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_a_shell_reads_quoted_words_back(words: list[str]) -> None:
    import shlex

    assert shlex.split(quoting.join(words)) == words


def test_a_real_shell_reads_quoted_words_back() -> None:
    words = ["", "a b", "'", "''", "$x", "\\", "\n", "~", "#", "*", "a=b", "!", "é"]
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {quoting.join(words)}"], capture_output=True, check=True
    )
    assert done.stdout.decode().split("\0")[:-1] == words


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("eth0", Options(id="eth0")),
        ("bridged", Options(id="bridged")),
        ("name=eth0", Options(id="eth0")),
        ("NAME=eth0,mode=Manual", Options(id="eth0", mode=1)),
        (",,name=eth0,,mode=AUTO,", Options(id="eth0")),
        (
            "mac=52:54:00:aa:BB:cc,name=x y",
            Options(id="x y", mac_address="52:54:00:aa:BB:cc"),
        ),
    ],
)
def test_networks_are_names_or_fields(spec: str, options: Options) -> None:
    assert networks.parse(spec) == options


@pytest.mark.parametrize(
    "spec", ["", ",", "mode=auto", "a,b", "name=a=b", "name=a,mac=52:54:00:aa:BB", "=x", "x=y"]
)
def test_other_networks_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        networks.parse(spec)


def test_the_time_zone_is_the_host_s_or_the_environment_s(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/America/Argentina/Ushuaia")
    assert time_zone.zone({}, str(link)) == "America/Argentina/Ushuaia"
    assert time_zone.zone({"TZ": ":Europe/Berlin"}, str(link)) == "Europe/Berlin"
    assert time_zone.zone({"TZ": "CET-1CEST"}, str(link)) == "America/Argentina/Ushuaia"
    assert time_zone.zone({}, str(tmp_path / "none")) == "Etc/UTC"


def test_the_time_left_is_guessed_only_when_there_is_something_to_guess_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from client.terminal import progress

    clock = iter([0.0, 0.0, 1.0, 30.0, 30.0, 90.0, 91.0])  # begun, then one a percentage
    shown: list[str] = []
    stand_in = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("client.terminal.progress.time", stand_in)
    made = progress.Progress()
    monkeypatch.setattr(made, "_terminal", True)
    monkeypatch.setattr(made._spinner, "show", lambda text, still: shown.append(text))
    for percent in (0, 50, 2, 25, 50, 100):
        made.percent("x: ", percent)
    assert shown == [
        "x: 0%", "x: 50%", "x: 2%", "x: 25% (1:30 left)", "x: 50% (1:30 left)", "x: 100%",
    ]  # fmt: skip
