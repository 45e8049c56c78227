"""The console's page as files: pure parts by node's own test runner, the manifest, limits."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools import patternfly

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "cockpit"
MODULES = sorted(each for each in PAGE.rglob("*.js") if "vendor" not in each.parts)
MOST_LINES = 300
PURE = ("model", "programs/commands.js", "programs/problem.js", "lib/format.js")


def test_what_is_pure_does_what_it_says() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed; ./dev installs it")
    tests = [str(each) for each in sorted((ROOT / "tests/cockpit").glob("*.test.mjs"))]
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_text_becomes_html_and_nothing_is_inline() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=", html)
    for module in MODULES:
        code = module.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", code), module
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", code), module


def test_the_policy_allows_nothing_but_the_packages_own_files() -> None:
    manifest = json.loads((PAGE / "manifest.json").read_text(encoding="utf-8"))
    policy = manifest["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "unsafe" not in policy
    assert manifest["conditions"] == [{"path-exists": "/usr/sbin/multipass-trust"}]


def test_what_is_pure_knows_neither_console_nor_document() -> None:
    for module in MODULES:
        if str(module.relative_to(PAGE)).startswith(PURE):
            code = module.read_text(encoding="utf-8")
            assert not re.search(r"\b(cockpit|document|window)\.", code), module


def test_modules_are_short_and_begin_with_what_they_are() -> None:
    for module in MODULES:
        text = module.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MOST_LINES, module
        assert text.startswith("/**"), module


def test_all_modules_are_asked_for_at_once_instead_of_one_after_the_other() -> None:
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', html)
    assert named == [str(each.relative_to(PAGE)) for each in MODULES if each.name != "main.js"]


def test_every_class_of_patternfly_that_the_page_names_has_its_rules() -> None:
    known = set(patternfly.CLASS.findall(patternfly.TARGET.read_text(encoding="utf-8")))
    named = {each for each in patternfly.named() if not each.startswith("pf-t-")}
    assert named - known - WITHOUT_RULES == set()


# Parts for which PatternFly has no rules of their own.
WITHOUT_RULES = {
    "pf-v6-contain-table",  # names a container
    "pf-m-grey", "pf-v6-c-empty-state__header", "pf-v6-c-empty-state__title",
    "pf-v6-c-tabs__item-text",
}  # fmt: skip
