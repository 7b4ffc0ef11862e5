"""What is said of a gated macro-F1 against its own rule."""

import numpy as np
import pytest

from harness.comparison.whole_sets import _Case, _row
from harness.studies.label_power import macro_f1_detectable, macro_f1_pass
from harness.types import Check, GenerationSettings, GoldenCase, Message

LABELS = ("red", "green", "blue")


def cases_of(labels, clusters=None, repeat=1):
    return [
        GoldenCase(
            id=str(place),
            set_name="s",
            messages=(Message(role="user", content="?"),),
            references=(label,),
            checks=(Check(type="classification", options={"labels": list(LABELS)}),),
            cluster=None if clusters is None else str(place % clusters),
            repeat=repeat,
            generation=GenerationSettings(temperature=0.0 if repeat == 1 else 0.7),
        )
        for place, label in enumerate(labels)
    ]


def test_a_rare_label_may_be_lost_unseen():
    """A label of four cases: a third of 1 - 0.05^(1/4) = 0.176 stays possible, whatever the other cases say."""
    rare = cases_of(["red"] * 198 + ["green"] * 198 + ["blue"] * 4)
    assert macro_f1_pass(rare, 0.17, 0.0) == 0.0
    assert macro_f1_pass(rare, 0.18, 0.0) == 1.0


def test_a_set_without_labels_has_no_macro_f1():
    assert macro_f1_pass(cases_of(["violet"]), 0.5, 0.02) == 0.0


def test_as_often_as_the_gate_passes_equal_models():
    """90 cases of three labels, 300 simulated pairs of runs of which 4 % of the cases are wrong on either side."""
    labels, random, passed = [LABELS[place % 3] for place in range(90)], np.random.default_rng(7), []
    for luck in random.random((300, 90)):
        sides = [
            [
                [(label, random.choice([each for each in LABELS if each != label]) if wrong else label)]
                for label, wrong in zip(labels, mask, strict=True)
            ]
            for mask in (luck < 0.04, luck > 0.96)
        ]
        cases = [_Case(str(n), n, now, was) for n, (now, was) in enumerate(zip(*sides, strict=True))]
        passed.append(_row("s", cases, 0.9).high_unseen <= 0.06)
    assert macro_f1_pass(cases_of(labels), 0.06, 0.04) == pytest.approx(np.mean(passed), abs=0.08)
    assert 0.2 < np.mean(passed) < 0.8


def test_clusters_pass_less_often_and_repeats_more_often():
    labels = [LABELS[place % 3] for place in range(90)]
    single = macro_f1_pass(cases_of(labels), 0.06, 0.04)
    assert macro_f1_pass(cases_of(labels, clusters=45), 0.06, 0.04) < single
    assert macro_f1_pass(cases_of(labels, repeat=8), 0.06, 0.04) > single


def test_the_drop_that_is_found_is_that_of_the_gate():
    """90 cases of three labels, 4 % wrong on either side by chance: of 300 runs that fell by it, four in five are found."""
    labels, random = [LABELS[place % 3] for place in range(90)], np.random.default_rng(8)
    drop = macro_f1_detectable(cases_of(labels), 0.05, 0.04, 0.05)
    found, drops = [], []
    for luck in random.random((300, 90)):
        sides = [
            [
                [(label, random.choice([each for each in LABELS if each != label]) if wrong else label)]
                for label, wrong in zip(labels, mask, strict=True)
            ]
            for mask in (luck < 0.04 + drop, luck > 0.96)
        ]
        cases = [_Case(str(n), n, now, was) for n, (now, was) in enumerate(zip(*sides, strict=True))]
        row = _row("s", cases, 0.9)
        found.append(row.p_value <= 0.05 and row.drop.high > 0.05)
        drops.append(row.drop.estimate)
    assert np.mean(drops) == pytest.approx(drop, abs=0.01)
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


def test_nothing_is_detected_without_labels():
    assert macro_f1_detectable(cases_of(["violet"]), 0.05, 0.02, 0.05) is None
