"""How a metric is chosen on the command line."""

import pytest

from harness.baselines.metric_choice import choices_by_name, chosen_facts, parse_choice
from harness.errors import SettingsError
from harness.types import MetricFacts


def test_all_words_together():
    choice = parse_choice("exact_match,strict:graded,lower,0..100,margin=2,threshold=50")
    assert choice.name == "exact_match,strict"
    assert (choice.kind, choice.higher_is_better, choice.scale) == ("graded", False, (0.0, 100.0))
    assert (choice.margin, choice.threshold) == (2.0, 50.0)


@pytest.mark.parametrize(
    ("text", "scale"),
    [("x:0..", (0.0, None)), ("x:..1.5", (None, 1.5)), ("x:-1..1", (-1.0, 1.0)), ("x:0.5..1", (0.5, 1.0))],
)
def test_scales(text, scale):
    assert parse_choice(text).scale == scale


@pytest.mark.parametrize(
    "text", ["", ":binary", "x:best", "x:margin=wide", "x:margin=nan", "x:margin=-1", "x:1..0", "x:a..b"]
)
def test_what_can_not_be_read_is_refused(text):
    with pytest.raises(SettingsError, match="--metric"):
        parse_choice(text)


def test_a_metric_is_chosen_once():
    with pytest.raises(SettingsError, match="given twice"):
        choices_by_name(["x", "x:binary"])


def test_facts_are_completed():
    assert chosen_facts(None, parse_choice("x")) is None
    assert chosen_facts(None, parse_choice("x:higher")) is None
    assert chosen_facts(None, parse_choice("x:higher,0..")) == MetricFacts(kind="graded", most=None)
    # More may be worse.
    assert chosen_facts(None, parse_choice("x:0..1")) is None
    assert chosen_facts(None, parse_choice("x:binary,lower")) == MetricFacts(
        kind="binary", higher_is_better=False
    )
    assert chosen_facts(MetricFacts(kind="graded"), parse_choice("x:lower")) == MetricFacts(
        kind="graded", higher_is_better=False
    )
