"""Each metric's record names a function that is there, and is on the reference page."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.metrics.definition import quote, score_function
from harness.registry.builtin_metrics import BUILTIN_METRICS

REFERENCE_PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


@pytest.mark.parametrize("name", BUILTIN_METRICS)
def test_every_metric_has_a_function(name: str) -> None:
    assert callable(score_function(name))


def test_a_metric_names_libraries_exactly_when_it_has_an_extra() -> None:
    assert {name for name, metric in BUILTIN_METRICS.items() if metric.libraries} == {
        name for name, metric in BUILTIN_METRICS.items() if metric.extra is not None
    }


def test_stored_are_the_scores_that_a_library_computes() -> None:
    """A judge keeps its own replies, and a perplexity is made of stored losses."""
    assert {name for name, metric in BUILTIN_METRICS.items() if metric.cached} == {
        *("bleu", "chrf", "rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "bertscore", "similar"),
        *("string-context-recall", "string-context-precision", "gleu", "meteor"),
    }


@pytest.mark.parametrize("name", BUILTIN_METRICS)
def test_the_reference_page_has_a_row_for_every_check_type(name: str) -> None:
    rows = [line for line in REFERENCE_PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]

    assert sum(line.startswith(f"| `{name}` |") for line in rows) == 1


def test_the_reference_page_has_no_row_for_anything_else() -> None:
    lines = REFERENCE_PAGE.read_text(encoding="utf-8").splitlines()
    named = [line.split("`")[1] for line in lines if line.startswith("| `")]

    assert sorted(named) == sorted(BUILTIN_METRICS)


@pytest.mark.parametrize("name", BUILTIN_METRICS)
def test_the_reference_page_says_of_each_type_which_way_is_better_and_what_it_costs(name: str) -> None:
    row = next(
        line
        for line in REFERENCE_PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{name}` |")
    )
    kind = BUILTIN_METRICS[name]

    assert ("0 or 1" in row) == (kind.kind == "binary")
    assert ("lower" in row) == (not kind.higher_is_better)
    assert (f"`{kind.extra}`" in row) == (kind.extra is not None)


def test_importing_the_metrics_imports_no_heavy_library() -> None:
    heavy = (
        "torch transformers evaluate datasets numpy scipy pandas sacrebleu rouge_score jsonschema bert_score"
    )
    program = f"import sys, harness.run.scoring; assert not set('{heavy}'.split()) & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_long_text_is_quoted_with_its_middle_cut_and_on_one_line() -> None:
    shown = quote("start\n" + "x" * 500 + "end", 20)

    assert len(shown) < 40
    assert shown.startswith("'start\\n")
    assert shown.endswith("end'")
    assert "…" in shown


def test_a_pattern_is_shown_as_it_was_written() -> None:
    """Its backslashes are not doubled; what can't be printed is escaped."""
    assert quote(r"\b4\b") == r"'\b4\b'"
    assert quote("two\nlines") == r"'two\nlines'"
    assert quote("it's") == '"it\'s"'
    assert quote("a" * 100, limit=10) == "'aaaaa' … 'aaaaa'"
