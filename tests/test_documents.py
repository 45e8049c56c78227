"""The documents: links that lead somewhere, decisions in their form, sizes a reader can take in."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "docs/how-to/*.md",
        "docs/decisions/*.md",
        "benchmarks/*.md",
    )
    for path in sorted(ROOT.glob(pattern))
]
DECISIONS = [path for path in PAGES if path.parent.name == "decisions" and path.name != "README.md"]
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
PARTS = ("**Context.** ", "**Decision.** ", "**Consequence.** ")


def test_every_link_leads_to_a_file() -> None:
    for page in PAGES:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_decision_is_listed_and_says_context_decision_and_consequence() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    assert DECISIONS
    for page in DECISIONS:
        title, *paragraphs = page.read_text(encoding="utf-8").strip().split("\n\n")
        assert title.startswith(f"# {int(page.name[:3])}. ")
        for text, part in zip(paragraphs, PARTS, strict=True):
            assert text.startswith(part), page.name
        assert f"({page.name})" in index, page.name
    numbers = [page.name[:3] for page in DECISIONS]
    assert len(set(numbers)) == len(numbers), "two decisions have the same number"


@pytest.mark.parametrize(
    ("page", "lines"), [("README.md", 100), ("ARCHITECTURE.md", 120), ("packaging.md", 150)]
)
def test_the_first_pages_stay_short(page: str, lines: int) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").splitlines()) <= lines
