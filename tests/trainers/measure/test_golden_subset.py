"""Early stopping asks cases that training can check: others are refused by name, and none is lost in silence."""

import json

import pytest

from harness.errors import GoldenError, SettingsError
from trainers.config import EarlyStop
from trainers.measure.golden_subset import golden_subset

EQUALS = {"type": "equals", "value": "one"}


@pytest.fixture
def subset(tmp_path):
    """The subset of sets that are given by their names: each a list of cases, and further keys of the sets."""

    def choose(sets, max_cases=32, **keys):
        for name, cases in sets.items():
            (tmp_path / f"{name}.yaml").write_text(json.dumps({"name": name, "cases": cases, **keys}))
        golden = tuple(tmp_path / f"{name}.yaml" for name in sets)
        return golden_subset(EarlyStop(golden=golden, max_cases=max_cases))

    return choose


def cases_of(count, *checks, **keys):
    return [{"id": f"c{n}", "prompt": f"say {n}", "checks": [*checks], **keys} for n in range(count)]


def test_a_case_of_several_answers_has_one(subset):
    """It was asked once, its further answers were missing, and it never passed."""
    (case,), _ = subset({"s": cases_of(1, EQUALS)}, defaults={"repeat": 5}, generation={"temperature": 0.7})
    assert case.answer_keys == ("s/c0",)


def test_several_sets_share_the_number_of_cases(subset):
    """The first set had all of it."""
    chosen, known = subset({"a": cases_of(9, EQUALS), "b": cases_of(2, EQUALS)}, max_cases=6)
    assert [case.key for case in chosen] == ["a/c0", "b/c0", "a/c1", "b/c1", "a/c2", "a/c3"]
    assert known == 11


def test_scores_that_decide_nothing_are_left_out(subset):
    """One of them that training can't compute cost the whole case."""
    others = [{"type": name} for name in ("perplexity", "pairwise", "latency", "rouge-l")]
    (case,), _ = subset({"s": cases_of(1, EQUALS, *others, references=["one"])})
    assert [check.type for check in case.checks] == ["equals"]


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ([{"type": "llm-rubric", "value": "Good."}], "llm-rubric needs a judge"),
        ([{"type": "pairwise", "threshold": 0.5}], "pairwise needs a judge"),
        ([{"type": "perplexity", "threshold": 9}], "perplexity is not of the answer's text"),
        ([EQUALS, {"type": "latency", "threshold": 900}], "latency is not of the answer's text"),
        ([{"type": "any-of", "checks": [EQUALS, {"type": "llm-rubric", "value": "Good."}]}], "needs a judge"),
        ([{"type": "rouge-l"}], "no check decides if it passes; give one a threshold"),
        ([{**EQUALS, "transform": [{"python": "steps.py:lower"}]}], "checks that run code"),
    ],
)
def test_what_training_cannot_check_is_refused_by_name(subset, tmp_path, checks, reason):
    (tmp_path / "steps.py").write_text("def lower(text):\n    return text.lower()\n")
    with pytest.raises(SettingsError, match=f"early_stop: s/c0: .*{reason}"):
        subset({"s": cases_of(1, *checks, references=["one"])})


def test_a_missing_library_is_told(subset, monkeypatch):
    monkeypatch.setattr("harness.run.inputs.missing_extras", lambda cases: {"metrics"})
    with pytest.raises(SettingsError, match=r"pip install .*tunegate\[metrics\]"):
        subset({"s": cases_of(1, EQUALS)})


def test_sets_without_a_case_are_refused(subset):
    with pytest.raises(SettingsError, match=r"early_stop\.golden: the sets have no case to answer"):
        subset({"s": cases_of(2, EQUALS, skip="later")})


def test_two_sets_of_one_name_are_refused(subset, tmp_path):
    """Their cases may have the same keys, and one's answer would be the other's."""
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    for path in paths:
        path.write_text(json.dumps({"name": "same", "cases": cases_of(1, EQUALS)}))
    with pytest.raises(GoldenError, match="the set's name 'same' is taken by"):
        golden_subset(EarlyStop(golden=tuple(paths)))
