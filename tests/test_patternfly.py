"""tools/patternfly.py: of a sheet what the page uses is kept, and nothing else."""

from __future__ import annotations

import pytest

from tools import patternfly

SHEET = """
:root { --used: var(--below); --below: 1px; --other: 2px; }
:root:where(.pf-v6-theme-dark) { --used: 3px; }
:root:where(.pf-v6-theme-glass) { --used: 4px; }
/* a comment { with a brace */
.pf-a, .pf-b { width: var(--used); }
.pf-a:not(.pf-b, .pf-c) { height: 0; }
.pf-a.pf-c { color: red; }
@media (max-width: 1px) { .pf-a { margin: 0; } .pf-c { margin: 1px; } }
@media print { .pf-c { margin: 2px; } }
@font-face { src: url(x.woff2); }
"""


@pytest.fixture
def text() -> str:
    rules = list(patternfly.kept(patternfly.parse(SHEET), {"pf-a", *patternfly.THEMES}))
    patternfly.prune(rules, set())
    return "".join(line for rule in rules for line in patternfly.lines(rule))


def test_rules_of_other_classes_go_also_as_a_branch_of_a_selector(text: str) -> None:
    assert ".pf-a {\n  width: var(--used);\n}" in text
    assert ".pf-b" not in text.replace(":not(.pf-b, .pf-c)", "")
    assert "color: red" not in text


def test_what_a_class_must_not_be_is_no_use_of_it(text: str) -> None:
    assert ".pf-a:not(.pf-b, .pf-c) {\n  height: 0;\n}" in text


def test_of_media_rules_those_with_something_inside_stay(text: str) -> None:
    assert "@media (max-width: 1px) {\n  .pf-a {\n    margin: 0;\n  }\n}" in text
    assert "print" not in text


def test_variables_stay_as_far_as_something_refers_to_them(text: str) -> None:
    assert "--used: var(--below);" in text and "--below: 1px;" in text
    assert "--other" not in text


def test_of_the_themes_only_the_dark_one_stays(text: str) -> None:
    assert "--used: 3px;" in text
    assert "glass" not in text


def test_what_the_page_itself_refers_to_stays() -> None:
    rules = list(patternfly.kept(patternfly.parse(SHEET), set()))
    patternfly.prune(rules, {"--other"})
    assert "--other: 2px" in "".join(line for rule in rules for line in patternfly.lines(rule))
