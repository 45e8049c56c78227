"""What is read from words and files without asking the service."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import hosttime, networkspec, quoting
from client.errors import UsageError
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
    assert networkspec.parse(spec) == options


@pytest.mark.parametrize(
    "spec", ["", ",", "mode=auto", "a,b", "name=a=b", "name=a,mac=52:54:00:aa:BB", "=x", "x=y"]
)
def test_other_networks_are_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        networkspec.parse(spec)


def test_the_time_zone_is_the_host_s_or_the_environment_s(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to("/usr/share/zoneinfo/America/Argentina/Ushuaia")
    assert hosttime.zone({}, str(link)) == "America/Argentina/Ushuaia"
    assert hosttime.zone({"TZ": ":Europe/Berlin"}, str(link)) == "Europe/Berlin"
    assert hosttime.zone({"TZ": "CET-1CEST"}, str(link)) == "America/Argentina/Ushuaia"
    assert hosttime.zone({}, str(tmp_path / "none")) == "Etc/UTC"
