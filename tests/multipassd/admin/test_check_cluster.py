"""`check` of a service whose instances are on a cluster: what is missing, and what to type next."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from multipassd.settings.settings import Settings
from protocol.settings import DRIVER, INCUS_PROJECT
from tests.multipassd.admin.trust import TRUST, Trust

LOADED = f"""
import runpy, sys
sys.argv[0] = {str(TRUST)!r}
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    loaded = [name for name in sys.modules if name.startswith("multipassd.drivers.incus")]
    print(*loaded, "aiohttp" in sys.modules, file=sys.stderr)
"""


def findings(trust: Trust) -> list[dict[str, Any]]:
    done = trust.run("check", "--format", "json")
    found: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    return found


def test_a_cluster_that_was_not_joined_is_a_problem_with_a_way_out(trust: Trust) -> None:
    settings = Settings(trust.sandbox.settings_path)
    settings.set(DRIVER, "incus")
    settings.set(INCUS_PROJECT, "people")
    (found,) = [each for each in findings(trust) if "Incus" in each["text"]]
    assert found == {
        "level": "problem",
        "text": "this service has joined no Incus cluster",
        "next": "on a member `incus config trust add NAME --restricted --projects people`; here "
        "`multipass set local.incus.token`, which asks for the token that this printed",
        "command": [],
    }
    told = trust.run("check").stdout
    assert f"PROBLEM  {found['text']}\n         next: {found['next']}\n" in told


def test_a_damaged_membership_is_a_problem(trust: Trust) -> None:
    Settings(trust.sandbox.settings_path).set(DRIVER, "incus")
    place = trust.data / "incus"
    place.mkdir(parents=True)
    (place / "membership.json").write_text("{")
    (found,) = [each for each in findings(trust) if "membership" in each["text"]]
    assert found["level"] == "problem" and "join again" in found["text"]


@pytest.mark.parametrize("driver", ["qemu", "incus"])
def test_nothing_of_the_cluster_is_loaded_for_another_driver(trust: Trust, driver: str) -> None:
    Settings(trust.sandbox.settings_path).set(DRIVER, driver)
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADED, "check"],
        env=trust.sandbox.daemon_env(), cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    *loaded, aiohttp = done.stderr.splitlines()[-1].split()
    assert bool(loaded) == (aiohttp == "True") == (driver == "incus"), done
