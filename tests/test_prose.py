"""tools/prose.py: what is counted as text, and what is not."""

import ast
from pathlib import Path

from tools import prose
from tools.prose import Idioms

IDIOMS = Idioms(["# a comment", "nobody", "by and by", "1.16: Nobody but 1.16 says so."])


def found(text: str) -> list[str]:
    return [idiom for _, idiom in IDIOMS.find(text)]


def test_an_idiom_is_found_in_any_case_and_over_the_end_of_a_line() -> None:
    assert found("Nobody waits.\nIt ends by\nand by") == ["Nobody", "by\nand by"]
    assert found("# it ends by\n# and by") == ["by\n# and by"]


def test_a_name_and_a_sentence_of_1_16_are_no_idioms() -> None:
    assert found("--nobody=1, @nobody, 'nobody', nobody_here, nobodys") == []
    assert found("Nobody but 1.16 says so.") == []


def test_comments_docstrings_and_sentences_are_texts_and_single_words_are_data() -> None:
    source = '"""Doc."""\nUSER = "nobody"\nTEXT = f"{USER} is here at once"  # comment\n'
    texts = {text.text for text in prose.python_texts(source, ast.parse(source), strings=True)}
    assert texts == {"# comment", "Doc.", " is here at once"}


def test_code_in_a_document_is_no_text() -> None:
    (text,) = prose.document_texts("a `nobody` b\n\n    nobody\n```\nnobody\n```\nnobody\n")
    assert list(IDIOMS.find(text.text)) == [(6, "nobody")]


def test_public_classes_without_docstring_and_names_called_one_are_counted(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        "class Bare:\n"
        "    class Inner: ...\n"
        "class _Private: ...\n"
        'class Told:\n    """It is."""\n'
        "def f(one): return [one for one in ()]\n"
        "for each, one in (): ...\n"
    )
    counts = prose.Counts()
    prose.count_python(module, "client/module.py", IDIOMS, counts)
    assert counts.bare_classes == [
        "client/module.py:1: class Bare",
        "client/module.py:2: class Inner",
    ]
    assert sorted(counts.named_one) == [f"client/module.py:{line}: one" for line in (6, 6, 7)]


def test_each_budget_that_is_exceeded_is_a_fault() -> None:
    within = prose.Counts(words=10_000, idioms=["x"] * prose.BUDGET)
    assert prose.faults({"client": within}) == []
    beyond = prose.Counts(words=1, idioms=["x"], bare_classes=["x"], named_one=["x"])
    assert len(prose.faults({"client": within, "tests": beyond})) == 3
